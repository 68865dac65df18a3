-- How runs are kept. `{schema}` stands for the schema that the host has chosen, quoted.
--
-- What grows is only appended to: a run is a row of flow_executions when it is created and a row of flow_history when it
-- ends. While it goes on, what happens in it is in flow_journal, one row per commit, whatever the number of runs in it. So a
-- step costs a piece of one row and touches no index, and nothing that is updated or deleted grows with the number of runs.
--
-- flow_open has the unfinished runs that somebody else may have to find: those that nobody holds, that wait, that were
-- claimed, or that were still going on when their executor's journal was cleared. A run without a row there that has not
-- ended is in the hands of the lease that created it, and is named in that lease's journal.
--
-- Numbers of runs begin with the second in which they were created, so a range of numbers is a range of time: flow_executions
-- and flow_history have a partition a day, and old days are dropped. What a run has elsewhere goes before its day does: its
-- row of flow_keys, which every run has whose id does not say where it is, its messages, and what its transactional steps
-- did. Times are microseconds since 1970.

CREATE TABLE {schema}.flow_tenants (
    tenant_no integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant    text COLLATE "C" NOT NULL UNIQUE
);

CREATE TABLE {schema}.flow_definitions (
    def_no    integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_no integer NOT NULL REFERENCES {schema}.flow_tenants,
    workflow  text COLLATE "C" NOT NULL,
    version   bigint NOT NULL,
    shape     bytea NOT NULL,
    plan      text, -- JSON for graph editors, for those who read runs without their program
    UNIQUE (tenant_no, workflow, version, shape)
);

-- A lease that has ended writes nothing any more. It is folded when its journal was moved to where it stays, and deleted
-- when nothing is left in its name. Whoever has a lease that ended without being released has died, or was taken for dead.
CREATE TABLE {schema}.flow_leases (
    token    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    executor text NOT NULL,
    until    bigint NOT NULL,
    term     bigint NOT NULL, -- how long it lasts unless it is renewed
    forbears bigint NOT NULL DEFAULT 0, -- until then it ends no other: it was renewed late, and so may others be
    ended    boolean NOT NULL DEFAULT false,
    folded   boolean NOT NULL DEFAULT false,
    released boolean NOT NULL DEFAULT false
) WITH (fillfactor = 50);

-- entries: a CBOR sequence of [run_no, first_seq, count, records]. runs: those in it, and those that the commit created. Who
-- does not know whether a commit took effect looks for its number.
CREATE TABLE {schema}.flow_journal (
    token   bigint NOT NULL,
    seq     bigint NOT NULL,
    runs    bigint[] NOT NULL,
    entries bytea NOT NULL,
    PRIMARY KEY (token, seq)
);
ALTER TABLE {schema}.flow_journal ALTER entries SET STORAGE EXTERNAL, ALTER runs SET STORAGE EXTERNAL;

-- Each partition has a unique index of (tenant_no, run_id) of its own. An id that was drawn says itself when that was, so
-- that is enough to know one from another; other ids are in flow_keys as well.
CREATE TABLE {schema}.flow_executions (
    run_no     bigint NOT NULL,
    tenant_no  integer NOT NULL,
    run_id     uuid NOT NULL,
    def_no     integer NOT NULL,
    created_at bigint NOT NULL,
    creator    bigint NOT NULL, -- the token of the lease that created it, 0 for none
    input_type bytea,           -- a media type as it came, null for JSON
    input      bytea NOT NULL,
    PRIMARY KEY (run_no)
) PARTITION BY RANGE (run_no);

CREATE TABLE {schema}.flow_keys (
    tenant_no integer NOT NULL,
    run_id    uuid NOT NULL,
    run_no    bigint NOT NULL,
    PRIMARY KEY (tenant_no, run_id)
);

-- records: a CBOR sequence of count records, the first with the sequence number first_seq. The last piece of a run that has
-- ended says how and when it did.
CREATE TABLE {schema}.flow_history (
    run_no      bigint NOT NULL,
    first_seq   bigint NOT NULL,
    count       bigint NOT NULL,
    status      smallint,
    finished_at bigint,
    records     bytea NOT NULL,
    PRIMARY KEY (run_no, first_seq)
) PARTITION BY RANGE (run_no);
-- Those that did not succeed are what people look for.
CREATE INDEX flow_history_failed ON {schema}.flow_history (run_no) WHERE status > 10;

-- The days that have partitions, counted from 1970.
CREATE FUNCTION {schema}.days_1() RETURNS SETOF bigint LANGUAGE sql STABLE AS $$
    SELECT substring(c.relname FROM '_([0-9]+)$')::bigint FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = '{schema}.flow_executions'::regclass;
$$;

-- The old days that were looked through and were not worth being retired, and by what rules.
CREATE TABLE {schema}.flow_looked (
    day       bigint PRIMARY KEY,
    rules     text NOT NULL,
    looked_at timestamptz NOT NULL DEFAULT now()
);

-- The runs in which something happens while their day is written anew beside itself: they are taken over once more. Only
-- such a day's partitions have the trigger.
CREATE TABLE {schema}.flow_late (
    run_no bigint NOT NULL
);
CREATE FUNCTION {schema}.note_late_1() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        INSERT INTO {schema}.flow_late (run_no) VALUES (OLD.run_no);
    ELSE
        INSERT INTO {schema}.flow_late (run_no) VALUES (NEW.run_no);
    END IF;
    RETURN NULL;
END $$;

CREATE TABLE {schema}.flow_open (
    run_no  bigint PRIMARY KEY,
    def_no  integer NOT NULL,
    holder  bigint NOT NULL, -- the token of a lease, 0 for nobody
    status  smallint NOT NULL,
    wake_at bigint,
    deaths  integer NOT NULL DEFAULT 0, -- how many in a row died over it, and left no more of it than the first of them:
    records bigint  NOT NULL DEFAULT 0  -- so many records
) WITH (fillfactor = 70);
CREATE INDEX flow_open_of ON {schema}.flow_open (holder, run_no);

-- The second half of a run's number. Taken in blocks: what a process leaves of its last one is lost.
CREATE SEQUENCE {schema}.flow_numbers INCREMENT BY 1024 CYCLE MAXVALUE 9223372036854770000;

-- Tells all processes what there is: r for runs to be claimed.
CREATE FUNCTION {schema}.tell_1(p_what text) RETURNS void LANGUAGE sql AS $$
    SELECT pg_notify('{channel}', p_what);
$$;

-- Whether the lease may write, and until the transaction ends nobody can end it.
CREATE FUNCTION {schema}.hold_lease_1(p_token bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(hashtext('{schema}.lease'), (p_token % 2147483647)::integer);
    PERFORM 1 FROM {schema}.flow_leases WHERE token = p_token AND NOT ended;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'lease % has ended', p_token USING ERRCODE = 'FN001';
    END IF;
END $$;

-- Ends the leases that were not renewed in time, but for the caller's own. One that is writing or being renewed just now is
-- left for the next time. Without a time of the caller's, the server's counts. Tells how many there were.
--
-- Who was kept from the server itself knows nothing of the others, who may have been kept from it as well: whoever comes
-- back first must not end the leases of all that come back a moment later. So by the server's clock nothing is ended by who
-- was late himself, for as long as his own lease lasts, or before the server has been up for so long.
CREATE FUNCTION {schema}.expire_leases_1(p_own bigint, p_now bigint) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    v_clock bigint := (extract(epoch FROM clock_timestamp()) * 1000000)::bigint;
    v_now bigint := coalesce(p_now, v_clock);
    v_up bigint := v_clock - (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint;
    v_token bigint;
    v_ended integer := 0;
BEGIN
    IF p_now IS NULL AND NOT EXISTS (
        SELECT 1 FROM {schema}.flow_leases l
        WHERE l.token = p_own AND l.until >= v_now AND l.forbears <= v_now AND l.term <= v_up
    ) THEN
        RETURN 0;
    END IF;
    FOR v_token IN
        SELECT token FROM {schema}.flow_leases WHERE NOT ended AND token <> p_own AND until < v_now
        ORDER BY token FOR UPDATE SKIP LOCKED
    LOOP
        IF pg_try_advisory_xact_lock(hashtext('{schema}.lease'), (v_token % 2147483647)::integer) THEN
            UPDATE {schema}.flow_leases SET ended = true WHERE token = v_token;
            v_ended := v_ended + 1;
        END IF;
    END LOOP;
    RETURN v_ended;
END $$;

-- Renews a lease, and looks whether there is something to claim of what is served: who renews need not ask for that beside.
-- Without an end of the caller's, it lasts as long as at first by the server's clock, and others that were not renewed end.
CREATE FUNCTION {schema}.renew_1(
    p_token bigint, p_until bigint, d_workflow text[], d_version bigint[], d_shape bytea[], p_skip bigint[],
    OUT renewed boolean, OUT claimable boolean
) LANGUAGE plpgsql AS $$
DECLARE
    v_now bigint := (extract(epoch FROM clock_timestamp()) * 1000000)::bigint;
BEGIN
    IF p_until IS NULL THEN
        PERFORM {schema}.expire_leases_1(p_token, NULL);
    END IF;
    UPDATE {schema}.flow_leases
    SET until = coalesce(p_until, v_now + term), forbears = CASE WHEN until < v_now THEN v_now + term ELSE forbears END
    WHERE token = p_token AND NOT ended;
    renewed := FOUND;
    IF NOT renewed THEN
        RETURN;
    END IF;
    claimable := EXISTS (SELECT 1 FROM {schema}.flow_leases l WHERE l.ended AND NOT l.folded) OR EXISTS (
        SELECT 1 FROM (SELECT 0::bigint AS token UNION ALL SELECT l.token FROM {schema}.flow_leases l WHERE l.ended) h,
            LATERAL (
                SELECT 1 FROM {schema}.flow_open o JOIN {schema}.flow_definitions d ON d.def_no = o.def_no
                JOIN unnest(d_workflow, d_version, d_shape) AS s (workflow, version, shape) USING (workflow, version, shape)
                WHERE o.holder = h.token AND o.run_no <> ALL (p_skip) LIMIT 1
            ) found);
END $$;

-- Makes a batch true, in one go and back. p_ is of the batch; c_ are runs to be created, with the range of numbers in which
-- a run of a named id may be all the same; d_ are plans, with the runs that they came with; j_ goes to the journal; h_ to flow_history; o_ are rows of flow_open to be, x_ those
-- to be no more. Gives the numbers of the runs that were not created since there are runs of their ids.
CREATE FUNCTION {schema}.commit_1(
    p_token bigint, p_seq bigint, p_clear_from bigint, p_clear_to bigint, p_ended boolean,
    c_no bigint[], c_tenant integer[], c_run uuid[], c_def integer[], c_at bigint[], c_type bytea[], c_input bytea[],
    c_named boolean[], c_from bigint[], c_to bigint[],
    d_no bigint[], d_def integer[], d_plan text[],
    j_runs bigint[], j_entries bytea,
    h_no bigint[], h_first bigint[], h_count bigint[], h_status smallint[], h_at bigint[], h_records bytea[],
    o_no bigint[], o_status smallint[], o_wake bigint[],
    x_no bigint[]
) RETURNS SETOF bigint LANGUAGE plpgsql AS $$
DECLARE
    v_made bigint;
BEGIN
    IF true = ANY (c_named) THEN
        -- Somebody's transaction may be about to create a run of the same id, and be left open for as long as he likes.
        PERFORM set_config('lock_timeout', '1s', true);
    END IF;
    IF p_token <> 0 THEN
        PERFORM {schema}.hold_lease_1(p_token);
        INSERT INTO {schema}.flow_journal (token, seq, runs, entries) VALUES (p_token, p_seq, j_runs, j_entries);
        IF p_clear_to >= p_clear_from THEN
            DELETE FROM {schema}.flow_journal WHERE token = p_token AND seq BETWEEN p_clear_from AND p_clear_to;
        END IF;
    END IF;
    IF cardinality(c_no) > 0 THEN
        IF true = ANY (c_named) THEN
            INSERT INTO {schema}.flow_keys (tenant_no, run_id, run_no)
            SELECT tenant, run, no FROM unnest(c_no, c_tenant, c_run, c_named) AS c (no, tenant, run, named)
            WHERE named ORDER BY tenant, run, no
            ON CONFLICT DO NOTHING;
            INSERT INTO {schema}.flow_executions
            SELECT no, tenant, run, def, at, p_token, type, input
            FROM unnest(c_no, c_tenant, c_run, c_def, c_at, c_type, c_input, c_named, c_from, c_to)
                AS c (no, tenant, run, def, at, type, input, named, nos_from, nos_to)
            WHERE NOT named OR (
                EXISTS (SELECT 1 FROM {schema}.flow_keys k
                        WHERE k.tenant_no = c.tenant AND k.run_id = c.run AND k.run_no = c.no)
                AND NOT EXISTS (SELECT 1 FROM {schema}.flow_executions e
                        WHERE e.tenant_no = c.tenant AND e.run_id = c.run AND e.run_no >= c.nos_from AND e.run_no < c.nos_to))
            ON CONFLICT DO NOTHING;
        ELSE
            INSERT INTO {schema}.flow_executions
            SELECT no, tenant, run, def, at, p_token, type, input
            FROM unnest(c_no, c_tenant, c_run, c_def, c_at, c_type, c_input) AS c (no, tenant, run, def, at, type, input)
            ON CONFLICT DO NOTHING;
        END IF;
        GET DIAGNOSTICS v_made = ROW_COUNT;
        IF cardinality(d_no) > 0 THEN
            UPDATE {schema}.flow_definitions d SET plan = p.plan FROM unnest(d_no, d_def, d_plan) AS p (no, def, plan)
            WHERE d.def_no = p.def AND d.plan IS NULL
                AND EXISTS (SELECT 1 FROM {schema}.flow_executions e WHERE e.run_no = p.no);
        END IF;
        IF p_token = 0 THEN
            INSERT INTO {schema}.flow_open (run_no, def_no, holder, status)
            SELECT no, def, 0, 0 FROM unnest(c_no, c_def) AS c (no, def)
            WHERE EXISTS (SELECT 1 FROM {schema}.flow_executions e WHERE e.run_no = c.no);
        END IF;
        IF v_made < cardinality(c_no) THEN
            -- A key must not name a run that was not created.
            DELETE FROM {schema}.flow_keys k USING unnest(c_no, c_tenant, c_run) AS c (no, tenant, run)
            WHERE k.tenant_no = c.tenant AND k.run_id = c.run AND k.run_no = c.no
                AND NOT EXISTS (SELECT 1 FROM {schema}.flow_executions e WHERE e.run_no = c.no);
            RETURN QUERY SELECT no FROM unnest(c_no) AS c (no)
            WHERE NOT EXISTS (SELECT 1 FROM {schema}.flow_executions e WHERE e.run_no = c.no);
        END IF;
    END IF;
    IF cardinality(h_no) > 0 THEN
        INSERT INTO {schema}.flow_history (run_no, first_seq, count, status, finished_at, records)
        SELECT * FROM unnest(h_no, h_first, h_count, h_status, h_at, h_records);
    END IF;
    IF cardinality(o_no) > 0 THEN
        INSERT INTO {schema}.flow_open AS o (run_no, def_no, holder, status, wake_at)
        SELECT no, e.def_no, p_token, status, wake
        FROM unnest(o_no, o_status, o_wake) AS n (no, status, wake) JOIN {schema}.flow_executions e ON e.run_no = no
        ON CONFLICT (run_no) DO UPDATE SET status = excluded.status, wake_at = excluded.wake_at;
    END IF;
    IF cardinality(x_no) > 0 THEN
        DELETE FROM {schema}.flow_open WHERE run_no = ANY (x_no);
    END IF;
    IF p_token = 0 THEN
        PERFORM pg_notify('{channel}', 'r');
    ELSIF p_ended THEN
        -- Whoever waits for ends holds this lock shared. Another commit may hold it just now: that is one word too many.
        IF NOT pg_try_advisory_xact_lock(hashtext('{schema}.ends'), 0) THEN
            PERFORM pg_notify('{channel}', 'e');
        END IF;
    END IF;
END $$;

-- Ends the leases that were not renewed in time, and tells who has runs to be claimed: nobody, which is 0, and leases that
-- have ended, and of these whether their journals are still to be moved.
CREATE FUNCTION {schema}.survey_1(p_token bigint, p_now bigint) RETURNS TABLE (holder bigint, unfolded boolean)
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM {schema}.hold_lease_1(p_token);
    PERFORM {schema}.expire_leases_1(p_token, p_now);
    RETURN QUERY
        SELECT 0::bigint, false WHERE EXISTS (SELECT 1 FROM {schema}.flow_open o WHERE o.holder = 0)
        UNION ALL (SELECT token, NOT folded FROM {schema}.flow_leases WHERE ended ORDER BY token);
END $$;
