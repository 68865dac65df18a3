-- Runs that wait for their turn.

-- Whether a row of flow_queued may know the run: so nothing is looked up for those of which none does. Behind the input all
-- the same: SQLite keeps 0 and 1 in a row's header, and reads no further for them.
ALTER TABLE flow_executions ADD COLUMN queued INTEGER NOT NULL DEFAULT 0;

-- The unfinished runs of all queues. The row goes when the run ends, and with it its place.
CREATE TABLE flow_queued (
    run_no      INTEGER PRIMARY KEY,
    queue       TEXT    NOT NULL,
    key         TEXT    NOT NULL,
    tenant_no   INTEGER NOT NULL,
    def_no      INTEGER NOT NULL,
    state       INTEGER NOT NULL, -- 0: its delay is not over; 1: it waits; 2: it was admitted
    rank        INTEGER NOT NULL, -- of those that wait the smallest goes first
    cost        INTEGER NOT NULL,
    enqueued_at INTEGER NOT NULL,
    ready_at    INTEGER NOT NULL,
    once_id     BLOB
) STRICT;
CREATE INDEX flow_queued_delayed ON flow_queued (queue, ready_at) WHERE state = 0;
CREATE INDEX flow_queued_waiting ON flow_queued (queue, key, rank, run_no) WHERE state = 1;
CREATE INDEX flow_queued_admitted ON flow_queued (queue, key) WHERE state = 2;
CREATE UNIQUE INDEX flow_queued_once ON flow_queued (queue, tenant_no, once_id) WHERE once_id IS NOT NULL;

-- What is remembered of queues, as JSON, and of keys: when a key's next turn is, and when its rates have all their room.
CREATE TABLE flow_queues (
    queue TEXT NOT NULL PRIMARY KEY,
    books TEXT NOT NULL
) STRICT;
CREATE TABLE flow_queue_keys (
    queue   TEXT    NOT NULL,
    key     TEXT    NOT NULL,
    turn    INTEGER NOT NULL,
    over_at INTEGER NOT NULL,
    books   TEXT    NOT NULL,
    PRIMARY KEY (queue, key)
) STRICT;
