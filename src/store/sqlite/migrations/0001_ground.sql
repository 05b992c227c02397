-- The ground: ledger, certificates, elevations, entries, tokens, operators, policy, kill switch.
-- Times are milliseconds since 1970, UTC. Ids, subjects and scopes stand in their printed form.

-- The ledger. The columns after `bytes` are an index into it: each can be rebuilt from the bytes.
CREATE TABLE events (
    number INTEGER PRIMARY KEY CHECK (0 < number),
    at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    bytes TEXT NOT NULL,
    caller TEXT,
    subject TEXT,
    scope TEXT,
    serial TEXT,
    fingerprint TEXT,
    elevation TEXT,
    policy TEXT,
    outcome TEXT
) STRICT;

-- Policy and outcome have few values, an index on them would find half the ledger.
CREATE INDEX events_at ON events (at);
CREATE INDEX events_kind ON events (kind);
CREATE INDEX events_caller ON events (caller) WHERE caller IS NOT NULL;
CREATE INDEX events_subject ON events (subject) WHERE subject IS NOT NULL;
CREATE INDEX events_scope ON events (scope) WHERE scope IS NOT NULL;
CREATE INDEX events_serial ON events (serial) WHERE serial IS NOT NULL;
CREATE INDEX events_fingerprint ON events (fingerprint) WHERE fingerprint IS NOT NULL;
CREATE INDEX events_elevation ON events (elevation) WHERE elevation IS NOT NULL;

CREATE TRIGGER events_never_change BEFORE UPDATE ON events
BEGIN
    SELECT raise(ABORT, 'an event never changes');
END;
CREATE TRIGGER events_never_go BEFORE DELETE ON events
BEGIN
    SELECT raise(ABORT, 'an event never goes');
END;

-- Certificates that may be signed: the exact bytes, durable before the key is used.
CREATE TABLE intents (
    number INTEGER PRIMARY KEY REFERENCES events,
    serial BLOB NOT NULL UNIQUE,
    tbs BLOB NOT NULL
) STRICT;

-- Intents without outcome: few, so that a start finds them without reading all intents.
CREATE TABLE unfinished (
    intent INTEGER PRIMARY KEY REFERENCES intents
) STRICT;

CREATE TABLE outcomes (
    intent INTEGER PRIMARY KEY REFERENCES intents,
    number INTEGER NOT NULL REFERENCES events,
    der BLOB
) STRICT;

-- Idempotency keys, with the event that the first request led to.
CREATE TABLE retries (
    verb TEXT NOT NULL,
    caller TEXT NOT NULL,
    key TEXT NOT NULL,
    request BLOB NOT NULL,
    number INTEGER NOT NULL REFERENCES events,
    at INTEGER NOT NULL,
    UNIQUE (verb, caller, key)
) STRICT;
CREATE INDEX retries_at ON retries (at);

-- `runs_out_at` is the running clock of the state (decide_by, activate_by or ends_at); none when
-- it is final, and then `over_at` and, when ended, `how` say the rest.
CREATE TABLE elevations (
    opened INTEGER PRIMARY KEY REFERENCES events,
    id TEXT NOT NULL UNIQUE,
    version INTEGER NOT NULL,
    subject TEXT NOT NULL,
    scope TEXT NOT NULL,
    duration_s INTEGER NOT NULL,
    not_before INTEGER,
    instances TEXT NOT NULL,
    reason BLOB,
    ticket TEXT,
    asked_by TEXT NOT NULL,
    asked_at INTEGER NOT NULL,
    extends TEXT,
    on_demand INTEGER NOT NULL,
    break_glass INTEGER NOT NULL,
    state TEXT NOT NULL,
    runs_out_at INTEGER,
    waits_for TEXT,
    activated_at INTEGER,
    activation INTEGER REFERENCES events,
    over_at INTEGER,
    how TEXT
) STRICT;
CREATE INDEX elevations_subject ON elevations (subject);
CREATE INDEX elevations_scope ON elevations (scope);
CREATE INDEX elevations_open ON elevations (subject, runs_out_at) WHERE runs_out_at IS NOT NULL;
CREATE INDEX elevations_due ON elevations (runs_out_at) WHERE runs_out_at IS NOT NULL;

-- The instances that hold or held an SVID of an elevation, in the order of their first mint.
CREATE TABLE holders (
    opened INTEGER NOT NULL REFERENCES elevations,
    place INTEGER NOT NULL,
    instance BLOB NOT NULL,
    PRIMARY KEY (opened, place)
) STRICT, WITHOUT ROWID;
CREATE INDEX holders_instance ON holders (instance);

-- Texts behind commitments. A row may be erased; the commitment in the ledger stays.
CREATE TABLE reasons (
    commitment BLOB PRIMARY KEY,
    salt BLOB NOT NULL,
    text TEXT NOT NULL
) STRICT;

CREATE TABLE entries (
    id TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    subject TEXT NOT NULL UNIQUE,
    selectors TEXT NOT NULL,
    obtained_by TEXT NOT NULL,
    owner TEXT NOT NULL,
    groups TEXT NOT NULL,
    life_s INTEGER NOT NULL,
    hint TEXT
) STRICT;

CREATE TABLE tokens (
    created INTEGER PRIMARY KEY REFERENCES events,
    id TEXT NOT NULL UNIQUE,
    digest BLOB NOT NULL,
    subject TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    spent INTEGER REFERENCES events
) STRICT;

CREATE TABLE operators (
    id TEXT PRIMARY KEY,
    digest BLOB NOT NULL,
    created INTEGER NOT NULL REFERENCES events
) STRICT;

-- Every policy that was ever active; the one with the highest version decides.
CREATE TABLE policies (
    version INTEGER PRIMARY KEY,
    digest BLOB NOT NULL,
    content BLOB NOT NULL,
    author TEXT NOT NULL,
    activated INTEGER NOT NULL REFERENCES events,
    activated_at INTEGER NOT NULL
) STRICT;

CREATE TABLE minting (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    stopped INTEGER NOT NULL,
    since INTEGER,
    version INTEGER NOT NULL
) STRICT;
INSERT INTO minting VALUES (1, 0, NULL, 1);

-- Written by the readiness probe alone.
CREATE TABLE probes (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    count INTEGER NOT NULL
) STRICT;
INSERT INTO probes VALUES (1, 0);
