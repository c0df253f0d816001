-- compatible with: 1
-- What all processes know of a partner's system: its circuit, an operator's pause, its bucket of tokens.
CREATE TABLE destination (
    name            TEXT PRIMARY KEY,
    circuit         TEXT NOT NULL DEFAULT 'closed' CHECK (circuit IN ('closed', 'open', 'half_open')),
    since           INTEGER NOT NULL DEFAULT 0,
    until           INTEGER NOT NULL DEFAULT 0,
    failures        INTEGER NOT NULL DEFAULT 0,
    prober          TEXT,
    paused_by       TEXT,
    paused_at       INTEGER,
    -- none: until somebody resumes
    paused_until    INTEGER,
    -- why, sealed
    pause_note      BLOB,
    -- millionths of a token, as they were at tokens_at; none: nobody has taken any yet
    tokens          INTEGER,
    tokens_at       INTEGER,
    last_success_at INTEGER,
    revision        INTEGER NOT NULL DEFAULT 0
) STRICT;
