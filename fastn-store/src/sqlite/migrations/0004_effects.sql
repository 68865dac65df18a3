-- What transactional steps did. A row is part of the transaction of its step: if it is there, all of it is.

CREATE TABLE flow_effects (
    key    TEXT NOT NULL PRIMARY KEY, -- the step's idempotency key
    tenant TEXT NOT NULL,
    run_id BLOB NOT NULL,
    output BLOB NOT NULL
) STRICT;

CREATE INDEX flow_effects_of_run ON flow_effects (tenant, run_id);
