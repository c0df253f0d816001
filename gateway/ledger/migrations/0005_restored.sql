-- compatible with: 1
-- Restores of this ledger from a backup. What was done between the two is forgotten here, not by others.
CREATE TABLE restoration (
    id          INTEGER PRIMARY KEY,
    -- when the backup was begun: from then on nothing is known
    lost_from   INTEGER NOT NULL,
    restored_at INTEGER NOT NULL,
    -- when the gateway was started with it: nothing that is forgotten was sent after that
    taken_on_at INTEGER
) STRICT;

-- Visas that a partner issued on our requests and that were forgotten, by blind indices.
CREATE TABLE forgotten_visa (
    person_index      BLOB NOT NULL,
    number_index      BLOB NOT NULL,
    destination       TEXT NOT NULL,
    request_reference TEXT NOT NULL,
    found_at          INTEGER NOT NULL,
    PRIMARY KEY (person_index, number_index)
) STRICT, WITHOUT ROWID;
