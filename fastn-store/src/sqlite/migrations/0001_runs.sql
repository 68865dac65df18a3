-- How runs are kept.
--
-- The journal takes one row per commit, whatever the number of runs in it: it is appended to and never searched. What
-- happened in a run is moved to flow_history when the run ends or waits, or when the journal has grown beyond its budget;
-- then the journal is emptied. So a record is written about twice, and no index is touched for a step.
--
-- flow_executions changes when a run is created, parks, goes on again, is claimed, and ends. It does not change for a
-- step. What is in its indexes is short numbers, since every run pays for them.

-- One row: the lease. A run is held if its holder is this token and the lease has not ended.
CREATE TABLE lease (
    one      INTEGER PRIMARY KEY CHECK (one = 1),
    token    INTEGER NOT NULL,
    executor TEXT    NOT NULL,
    until    INTEGER NOT NULL, -- microseconds since 1970, like every time here; for people
    ended    INTEGER NOT NULL
) STRICT;
INSERT INTO lease VALUES (1, 0, '', 0, 1);

-- The leases that ended without being released, as far as they have left unfinished runs: their executors died, or were taken
-- for dead.
CREATE TABLE dead_leases (
    token INTEGER PRIMARY KEY
) STRICT;

CREATE TABLE flow_tenants (
    tenant_no INTEGER PRIMARY KEY,
    tenant    TEXT    NOT NULL UNIQUE
) STRICT;

CREATE TABLE flow_definitions (
    def_no    INTEGER PRIMARY KEY,
    tenant_no INTEGER NOT NULL REFERENCES flow_tenants,
    workflow  TEXT    NOT NULL,
    version   INTEGER NOT NULL,
    shape     BLOB    NOT NULL,
    plan      TEXT,             -- JSON for graph editors, for those who read runs without their program
    UNIQUE (tenant_no, workflow, version, shape)
) STRICT;

-- One row: the largest number of a run that was deleted. No number comes back, since the journal may still know it.
CREATE TABLE flow_numbers (
    one     INTEGER PRIMARY KEY CHECK (one = 1),
    deleted INTEGER NOT NULL
) STRICT;
INSERT INTO flow_numbers VALUES (1, 0);

-- Tenants and definitions are never deleted, and their numbers come from their tables: no foreign keys here, which would
-- be looked up for every run.
CREATE TABLE flow_executions (
    run_no      INTEGER PRIMARY KEY,
    tenant_no   INTEGER NOT NULL,
    run_id      BLOB    NOT NULL,
    def_no      INTEGER NOT NULL,
    status      INTEGER NOT NULL,
    holder      INTEGER NOT NULL, -- the token of a lease, 0 for nobody
    created_at  INTEGER NOT NULL,
    finished_at INTEGER,          -- null until it has ended
    wake_at     INTEGER,
    input_type  TEXT,             -- a media type; null for JSON
    input       BLOB    NOT NULL, -- last, so that the columns before it are read without it
    UNIQUE (tenant_no, run_id)
) STRICT;

-- A tenant's list, newest first.
CREATE INDEX flow_executions_of_tenant ON flow_executions (tenant_no, run_no);

-- Over finished_at and not over the status, so that a change of the status leaves the indexes alone.
CREATE INDEX flow_executions_unfinished ON flow_executions (run_no) WHERE finished_at IS NULL;
CREATE INDEX flow_executions_finished ON flow_executions (finished_at) WHERE finished_at IS NOT NULL;

-- The runs over which executors died: how many in a row have left no more of it than the first of them, which is as many
-- records. Only claims write here; what is of runs that have ended since means nothing.
CREATE TABLE flow_deaths (
    run_no  INTEGER PRIMARY KEY,
    deaths  INTEGER NOT NULL,
    records INTEGER NOT NULL
) STRICT;

-- entries: a CBOR sequence of [run_no, first_seq, count, records].
CREATE TABLE journal (
    pos     INTEGER PRIMARY KEY,
    entries BLOB NOT NULL
) STRICT;

-- records: a CBOR sequence of count records, the first with the sequence number first_seq. Not WITHOUT ROWID: pieces are
-- large, and appended to a table they cost less than put in their place in an index.
CREATE TABLE flow_history (
    run_no    INTEGER NOT NULL,
    first_seq INTEGER NOT NULL,
    count     INTEGER NOT NULL,
    records   BLOB    NOT NULL,
    PRIMARY KEY (run_no, first_seq)
) STRICT;
