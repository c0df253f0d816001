-- Times are microseconds since the epoch, ids are UUIDv7 text, sealed columns are AES-256-GCM.

CREATE TABLE batch (
    id              TEXT PRIMARY KEY,
    party           TEXT NOT NULL,
    idempotency_key TEXT NOT NULL,
    state           TEXT NOT NULL CHECK (state IN ('receiving', 'processing', 'completed')),
    revision        INTEGER NOT NULL DEFAULT 1,
    -- receiving: who holds (party, idempotency_key), and until when
    intake_token    TEXT NOT NULL,
    intake_until    INTEGER NOT NULL,
    batch_reference TEXT,
    licensee        TEXT,
    agent           TEXT,
    mission         TEXT,
    package         TEXT,
    group_number    TEXT,
    season          INTEGER,
    mode            TEXT NOT NULL,
    payload_sha     BLOB,
    lines           INTEGER NOT NULL DEFAULT 0,
    released_line   INTEGER NOT NULL DEFAULT 0,
    created_at      INTEGER NOT NULL,
    accepted_at     INTEGER,
    -- the business day, for reports
    received_on     TEXT,
    completed_at    INTEGER,
    confirmed_at    INTEGER,
    data_key        BLOB NOT NULL,
    sealed_receipt  BLOB,
    UNIQUE (party, idempotency_key)
) STRICT;
CREATE INDEX batch_open ON batch (state, id) WHERE state <> 'completed';
CREATE INDEX batch_received ON batch (received_on) WHERE received_on IS NOT NULL;
CREATE INDEX batch_season ON batch (season);
CREATE INDEX batch_unreleased ON batch (id) WHERE state = 'processing' AND released_line < lines;

-- How many lines of a batch stand in each state that a center sees.
CREATE TABLE batch_count (
    batch_id     TEXT NOT NULL,
    public_state TEXT NOT NULL,
    n            INTEGER NOT NULL,
    PRIMARY KEY (batch_id, public_state)
) STRICT, WITHOUT ROWID;

CREATE TABLE message (
    id               TEXT PRIMARY KEY,
    kind             TEXT NOT NULL,
    party            TEXT NOT NULL,
    licensee         TEXT NOT NULL,
    agent            TEXT NOT NULL,
    mission          TEXT NOT NULL,
    package          TEXT,
    group_number     TEXT,
    season           INTEGER NOT NULL,
    batch_id         TEXT,
    batch_reference  TEXT NOT NULL,
    line             INTEGER,
    parent_id        TEXT,
    reference        TEXT NOT NULL,
    idempotency_key  TEXT,
    -- the fairness lane: claims go round-robin over lanes
    lane             TEXT NOT NULL,
    state            TEXT NOT NULL,
    public_state     TEXT NOT NULL,
    outcome          TEXT,
    -- what the center is told of a refusal or a wait
    code             TEXT,
    attempts         INTEGER NOT NULL DEFAULT 0,
    next_at          INTEGER,
    deadline_at      INTEGER,
    cancel_requested_at INTEGER,
    lease_token      INTEGER NOT NULL DEFAULT 0,
    lease_owner      TEXT,
    lease_until      INTEGER,
    -- the step whose intent is open, and the latest instant at which its request may have been sent
    open_step        TEXT,
    send_by          INTEGER,
    -- when somebody last asked to try at once
    hurried_at       INTEGER,
    -- held: the quota it waits for, or 'records' (any change of them)
    waits_for        TEXT,
    -- and when that may come, as far as anybody knows
    expected_at      INTEGER,
    revision         INTEGER NOT NULL DEFAULT 1,
    received_at      INTEGER NOT NULL,
    updated_at       INTEGER NOT NULL,
    completed_at     INTEGER,
    -- set while live; a second live application of the person can't be recorded
    live_person_key  BLOB,
    -- of the passport and its issuing state
    passport_index   BLOB,
    payload_sha      BLOB,
    data_key         BLOB NOT NULL,
    sealed_payload   BLOB NOT NULL,
    sealed_progress  BLOB,
    progress_revision INTEGER NOT NULL DEFAULT 0,
    versions         TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX message_line ON message (batch_id, line) WHERE batch_id IS NOT NULL;
CREATE UNIQUE INDEX message_key ON message (party, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX message_passport ON message (passport_index) WHERE passport_index IS NOT NULL;
CREATE UNIQUE INDEX message_person ON message (live_person_key) WHERE live_person_key IS NOT NULL;
CREATE INDEX message_due ON message (lane, next_at) WHERE state = 'ready';
CREATE INDEX message_inquiry ON message (next_at)
    WHERE state IN ('uncertain', 'under_review') AND next_at IS NOT NULL;
CREATE INDEX message_waiting ON message (next_at) WHERE state IN ('held', 'awaiting');
CREATE INDEX message_waits_for ON message (waits_for, received_at) WHERE state = 'held';
CREATE INDEX message_lease ON message (lease_until) WHERE state IN ('carried', 'inquiring');
CREATE INDEX message_deadline ON message (deadline_at) WHERE state IN ('ready', 'held', 'awaiting');
CREATE INDEX message_live ON message (kind, state, received_at)
    WHERE state NOT IN ('completed', 'cancelled', 'expired');
CREATE INDEX message_parent ON message (parent_id) WHERE parent_id IS NOT NULL;

-- Every call and inquiry, also those that a crash cut short.
CREATE TABLE attempt (
    id           INTEGER PRIMARY KEY,
    message_id   TEXT NOT NULL,
    step         TEXT NOT NULL,
    action       TEXT NOT NULL,
    token        INTEGER NOT NULL,
    kind         TEXT NOT NULL CHECK (kind IN ('call', 'inquiry')),
    repeatable   INTEGER NOT NULL,
    started_at   INTEGER NOT NULL,
    send_by      INTEGER NOT NULL,
    finished_at  INTEGER,
    outcome      TEXT NOT NULL,
    code         TEXT,
    policy       TEXT NOT NULL,
    -- of an answer that came after its worker had lost the lease
    sealed_result BLOB
) STRICT;
CREATE INDEX attempt_message ON attempt (message_id, id);
CREATE UNIQUE INDEX attempt_open ON attempt (message_id, step) WHERE kind = 'call' AND outcome = 'open';
CREATE UNIQUE INDEX attempt_done ON attempt (message_id, step)
    WHERE kind = 'call' AND outcome = 'ok' AND repeatable = 0;

-- Intents: what was, or may have been, asked of a partner that must not be asked twice.
CREATE TABLE effect (
    destination       TEXT NOT NULL,
    operation         TEXT NOT NULL,
    request_reference TEXT NOT NULL,
    message_id        TEXT NOT NULL,
    token             INTEGER NOT NULL,
    state             TEXT NOT NULL CHECK (state IN ('open', 'done', 'free')),
    opened_at         INTEGER NOT NULL,
    PRIMARY KEY (destination, operation, request_reference)
) STRICT, WITHOUT ROWID;
CREATE INDEX effect_message ON effect (message_id);

-- What is meant for a party; without a broker the outbox is the bus.
CREATE TABLE outbox (
    seq        INTEGER PRIMARY KEY,
    receiver   TEXT NOT NULL,
    kind       TEXT NOT NULL,
    message_id TEXT,
    batch_id   TEXT,
    revision   INTEGER NOT NULL DEFAULT 1,
    created_at INTEGER NOT NULL,
    -- of an event with data of its own, reduced to what its receiver may have; else it names what to fetch
    event_id       TEXT,
    subject        TEXT,
    classification TEXT,
    correlation_id TEXT,
    data_key       BLOB,
    sealed         BLOB
) STRICT;
CREATE UNIQUE INDEX outbox_batch ON outbox (batch_id, revision) WHERE kind = 'batch.completed';
CREATE INDEX outbox_receiver ON outbox (receiver, seq);
CREATE INDEX outbox_message ON outbox (message_id) WHERE sealed IS NOT NULL;

-- How far each receiver has come on each channel (bus, webhook, confirmed).
CREATE TABLE position (
    receiver TEXT NOT NULL,
    channel  TEXT NOT NULL,
    seq      INTEGER NOT NULL,
    failures INTEGER NOT NULL DEFAULT 0,
    next_at  INTEGER,
    PRIMARY KEY (receiver, channel)
) STRICT, WITHOUT ROWID;

-- Licensees, centers, agents, contracts, packages, plans, controls …: every version that ever stood.
CREATE TABLE record (
    seq        INTEGER PRIMARY KEY,
    kind       TEXT NOT NULL,
    id         TEXT NOT NULL,
    owner      TEXT NOT NULL,
    version    TEXT NOT NULL,
    facts      TEXT NOT NULL,
    at         INTEGER NOT NULL,
    message_id TEXT,
    in_force   INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX record_in_force ON record (kind, id) WHERE in_force = 1;
CREATE INDEX record_message ON record (message_id) WHERE message_id IS NOT NULL;
CREATE INDEX record_history ON record (kind, id, seq);
CREATE INDEX record_owner ON record (kind, owner, id) WHERE in_force = 1;

-- Ceilings, and who has taken a place under them.
CREATE TABLE quota (
    control TEXT NOT NULL,
    scope   TEXT NOT NULL,
    ceiling INTEGER NOT NULL,
    taken   INTEGER NOT NULL DEFAULT 0 CHECK (taken >= 0),
    PRIMARY KEY (control, scope)
) STRICT, WITHOUT ROWID;
CREATE TABLE reservation (
    message_id TEXT NOT NULL,
    control    TEXT NOT NULL,
    scope      TEXT NOT NULL,
    PRIMARY KEY (message_id, control, scope)
) STRICT, WITHOUT ROWID;

-- Issued visas, by the blind index of their number, and where their holders are.
CREATE TABLE visa (
    number_index BLOB PRIMARY KEY,
    message_id   TEXT NOT NULL,
    party        TEXT NOT NULL,
    licensee     TEXT NOT NULL,
    agent        TEXT NOT NULL,
    mission      TEXT NOT NULL,
    season       INTEGER NOT NULL,
    country      TEXT NOT NULL,
    due_on       TEXT NOT NULL,
    presence     TEXT NOT NULL,
    arrived_on   TEXT,
    departed_on  TEXT,
    notices      INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX visa_message ON visa (message_id);
CREATE INDEX visa_due ON visa (due_on) WHERE presence IN ('inside', 'overstayed');
CREATE INDEX visa_overstayed ON visa (season, licensee, agent) WHERE presence = 'overstayed';
CREATE INDEX visa_licensee ON visa (season, licensee, presence);
CREATE INDEX visa_agent ON visa (season, agent, presence);

-- Arrivals and departures; those of a visa that is not known yet are parked.
CREATE TABLE movement (
    message_id TEXT PRIMARY KEY,
    visa_index BLOB NOT NULL,
    direction  TEXT NOT NULL CHECK (direction IN ('arrival', 'departure')),
    at         INTEGER NOT NULL,
    -- the day that it was in Riyadh
    day        TEXT NOT NULL,
    matched    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX movement_visa ON movement (visa_index, at);

-- A decision on a message under review: proposed by one operator, confirmed by another.
CREATE TABLE resolution (
    message_id   TEXT PRIMARY KEY,
    -- of the message when this was proposed: another review needs another proposal
    revision     INTEGER NOT NULL,
    decision     TEXT NOT NULL CHECK (decision IN ('issued', 'refused', 'send_again', 'done')),
    sealed_visa  BLOB,
    -- why, as the audit log keeps it
    commitment   TEXT NOT NULL,
    note         BLOB NOT NULL,
    proposed_by  TEXT NOT NULL,
    proposed_at  INTEGER NOT NULL
) STRICT;

-- Idempotency keys that senders chose for single messages; each stands for the first message sent under it.
CREATE TABLE sender_key (
    party      TEXT NOT NULL,
    key        TEXT NOT NULL,
    message_id TEXT NOT NULL,
    PRIMARY KEY (party, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX sender_key_message ON sender_key (message_id);

-- A bearer token's id is taken once on POST and PUT.
CREATE TABLE token_use (
    party           TEXT NOT NULL,
    jti             TEXT NOT NULL,
    idempotency_key TEXT NOT NULL,
    expires_at      INTEGER NOT NULL,
    PRIMARY KEY (party, jti)
) STRICT, WITHOUT ROWID;

-- The journal: each writer's entries in a chain of hashes. It holds commitments, no values.
CREATE TABLE audit (
    seq        INTEGER PRIMARY KEY,
    chain      TEXT NOT NULL,
    number     INTEGER NOT NULL,
    hash       BLOB NOT NULL,
    at         INTEGER NOT NULL,
    message_id TEXT,
    batch_id   TEXT,
    action     TEXT NOT NULL,
    from_state TEXT,
    to_state   TEXT,
    actor      TEXT NOT NULL,
    code       TEXT,
    -- how far the records had come (record.seq): the versions that this was decided under
    records    INTEGER NOT NULL DEFAULT 0,
    -- JSON: `disclosed` names scopes
    detail     TEXT,
    commitment TEXT,
    -- an operator's reason, sealed; only its commitment is part of the chain
    note       BLOB
) STRICT;
CREATE INDEX audit_message ON audit (message_id, seq) WHERE message_id IS NOT NULL;
CREATE INDEX audit_note ON audit (seq) WHERE note IS NOT NULL;
CREATE INDEX audit_batch ON audit (batch_id, seq) WHERE batch_id IS NOT NULL AND message_id IS NULL;
-- which configuration was in force when
CREATE INDEX audit_configuration ON audit (seq) WHERE action = 'configuration';

-- How far each chain has come.
CREATE TABLE chain (
    name   TEXT PRIMARY KEY,
    number INTEGER NOT NULL,
    hash   BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- The heads of all chains at one moment, signed.
CREATE TABLE checkpoint (
    number    INTEGER PRIMARY KEY,
    at        INTEGER NOT NULL,
    document  TEXT NOT NULL,
    signature BLOB NOT NULL
) STRICT;

-- Who may be given which fields for what, by which version of the rules: audit entries name these.
CREATE TABLE scope (
    id        INTEGER PRIMARY KEY,
    receiver  TEXT NOT NULL,
    operation TEXT NOT NULL,
    purpose   TEXT NOT NULL,
    rule      TEXT NOT NULL,
    fields    TEXT NOT NULL,
    UNIQUE (receiver, operation, purpose, rule, fields)
) STRICT;

-- The text of every configuration file that was ever in force, by its SHA-256.
CREATE TABLE policy_text (
    digest TEXT PRIMARY KEY,
    name   TEXT NOT NULL,
    text   TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Messages that name a visa, by the blind index of its number.
CREATE TABLE named_visa (
    number_index BLOB NOT NULL,
    message_id   TEXT NOT NULL,
    PRIMARY KEY (number_index, message_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX named_visa_message ON named_visa (message_id);

-- Photos that a party put once; its lines name them. The digest is a keyed one, as every look-up key is.
CREATE TABLE photo (
    party      TEXT NOT NULL,
    digest     BLOB NOT NULL,
    data_key   BLOB NOT NULL,
    sealed     BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (party, digest)
) STRICT;

-- Rotations of keys: which version each bucket's key comes to, and how far everything is wrapped under it.
CREATE TABLE rotation (
    id          INTEGER PRIMARY KEY,
    targets     TEXT NOT NULL,
    -- the store that is gone through, and its last row that was seen (a JSON array); no store: all of them
    store       TEXT,
    after_row   TEXT NOT NULL,
    rounds      INTEGER NOT NULL,
    total       INTEGER NOT NULL,
    done        INTEGER NOT NULL,
    unreadable  INTEGER NOT NULL,
    started_by  TEXT NOT NULL,
    started_at  INTEGER NOT NULL,
    finished_at INTEGER
) STRICT;

-- Keys that wrap nothing any more, until they are destroyed.
CREATE TABLE retired_key (
    id         TEXT PRIMARY KEY,
    retired_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Retention buckets whose time is over. Written before their keys are destroyed.
CREATE TABLE shredding (
    bucket            TEXT PRIMARY KEY,
    due_on            TEXT NOT NULL,
    store             TEXT,
    after_row         TEXT NOT NULL,
    counts            TEXT NOT NULL,
    seasons           TEXT NOT NULL,
    started_by        TEXT NOT NULL,
    started_at        INTEGER NOT NULL,
    keys_destroyed_at INTEGER,
    finished_at       INTEGER
) STRICT, WITHOUT ROWID;

-- Legal holds: what may not be shredded. Why stands in the journal.
CREATE TABLE hold (
    id          INTEGER PRIMARY KEY,
    scope       TEXT NOT NULL CHECK (scope IN ('all', 'bucket', 'message', 'person')),
    bucket      TEXT,
    message_id  TEXT,
    placed_by   TEXT NOT NULL,
    placed_at   INTEGER NOT NULL,
    released_by TEXT,
    released_at INTEGER
) STRICT;
CREATE TABLE held_person (
    hold_id        INTEGER NOT NULL,
    passport_index BLOB NOT NULL,
    PRIMARY KEY (hold_id, passport_index)
) STRICT, WITHOUT ROWID;
