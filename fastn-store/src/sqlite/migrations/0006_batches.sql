-- Items that become one run.

-- How many items a run of a queue has gathered, and the size of their list; null for one that gathers none.
ALTER TABLE flow_queued ADD COLUMN items INTEGER;
ALTER TABLE flow_queued ADD COLUMN bytes INTEGER;

-- The items, as long as their run is kept. Until it is admitted or withdrawn the input of the run is empty and theirs are
-- here; then it has the list of them, and they have none. Not WITHOUT ROWID: see flow_history.
CREATE TABLE flow_batched (
    run_no    INTEGER NOT NULL,
    seq       INTEGER NOT NULL,
    queue     TEXT    NOT NULL,
    tenant_no INTEGER NOT NULL,
    item      BLOB    NOT NULL,
    input     BLOB,
    PRIMARY KEY (run_no, seq),
    UNIQUE (queue, tenant_no, item)
) STRICT;
