-- compatible with: 1
-- What only one process of an installation may do at a time, who does it, and until when unless renewed.
CREATE TABLE duty (
    name   TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    until  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
