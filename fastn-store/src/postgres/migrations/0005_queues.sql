-- Runs that wait for their turn.
--
-- Such a run has a row of flow_open from its creation to its end, as those that somebody may have to find do; until it is
-- admitted its holder there is -1. What decides who is admitted is decided under the lock of a row of flow_queues.

-- The unfinished runs of all queues. The row goes when the run ends, and with it its place.
CREATE TABLE {schema}.flow_queued (
    run_no      bigint PRIMARY KEY,
    queue       text COLLATE "C" NOT NULL,
    key         text COLLATE "C" NOT NULL,
    tenant_no   integer NOT NULL,
    def_no      integer NOT NULL,
    state       smallint NOT NULL, -- 0: its delay is not over; 1: it waits; 2: it was admitted
    rank        bigint NOT NULL,   -- of those that wait the smallest goes first
    cost        bigint NOT NULL,
    enqueued_at bigint NOT NULL,
    ready_at    bigint NOT NULL,
    once_id     uuid
) WITH (fillfactor = 70);
CREATE INDEX flow_queued_delayed ON {schema}.flow_queued (queue, ready_at) WHERE state = 0;
CREATE INDEX flow_queued_waiting ON {schema}.flow_queued (queue, key, rank, run_no) WHERE state = 1;
CREATE INDEX flow_queued_admitted ON {schema}.flow_queued (queue, key) WHERE state = 2;
CREATE UNIQUE INDEX flow_queued_once ON {schema}.flow_queued (queue, tenant_no, once_id) WHERE once_id IS NOT NULL;

-- What is remembered of queues, as JSON, and of keys: when a key's next turn is, and when its rates have all their room.
CREATE TABLE {schema}.flow_queues (
    queue text COLLATE "C" PRIMARY KEY,
    books text
) WITH (fillfactor = 50);
CREATE TABLE {schema}.flow_queue_keys (
    queue   text COLLATE "C" NOT NULL,
    key     text COLLATE "C" NOT NULL,
    turn    bigint NOT NULL,
    over_at bigint NOT NULL,
    books   text NOT NULL,
    PRIMARY KEY (queue, key)
) WITH (fillfactor = 70);

-- A run that ends frees its place, whichever build ends it.
CREATE FUNCTION {schema}.leave_queue_1() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    v_queues text[];
BEGIN
    WITH freed AS (DELETE FROM {schema}.flow_queued q USING gone WHERE q.run_no = gone.run_no RETURNING q.queue)
    SELECT array_agg(DISTINCT queue) INTO v_queues FROM freed;
    IF EXISTS (SELECT 1 FROM {schema}.flow_queued WHERE state = 1 AND queue = ANY (v_queues))
        OR EXISTS (SELECT 1 FROM {schema}.flow_queued WHERE state = 0 AND queue = ANY (v_queues)) THEN
        PERFORM pg_notify('{channel}', 'q');
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER flow_open_gone AFTER DELETE ON {schema}.flow_open REFERENCING OLD TABLE AS gone
FOR EACH STATEMENT EXECUTE FUNCTION {schema}.leave_queue_1();

-- Creates a run unless there is one of its id: its number, and whether it was created. As create_run_1, and tells nobody.
CREATE FUNCTION {schema}.make_run_1(
    p_tenant text, p_run uuid, p_from bigint, p_to bigint, p_workflow text, p_version bigint, p_shape bytea, p_plan text,
    p_at bigint, p_type bytea, p_input bytea, p_holder bigint,
    OUT run_no bigint, OUT tenant_no integer, OUT def_no integer, OUT made boolean
) LANGUAGE plpgsql AS $$
DECLARE
    v_second bigint;
BEGIN
    SELECT n.tenant_no, n.def_no INTO make_run_1.tenant_no, make_run_1.def_no
    FROM {schema}.number_1(p_tenant, p_workflow, p_version, p_shape, p_plan) n;

    SELECT e.run_no INTO make_run_1.run_no FROM {schema}.flow_executions e
    WHERE e.tenant_no = make_run_1.tenant_no AND e.run_id = p_run AND e.run_no >= p_from AND e.run_no < p_to;
    made := false;
    IF make_run_1.run_no IS NOT NULL THEN
        RETURN;
    END IF;
    -- The last day there is, should nobody have made today's.
    SELECT least(floor(extract(epoch FROM clock_timestamp()))::bigint, (max(day) + 1) * 86400 - 1)
    INTO v_second FROM {schema}.days_1() AS d (day);
    make_run_1.run_no := (v_second << 31) | (nextval('{schema}.flow_numbers') & 2147483647);
    -- Whoever creates the same at the same time is waited for.
    INSERT INTO {schema}.flow_keys (tenant_no, run_id, run_no)
    VALUES (make_run_1.tenant_no, p_run, make_run_1.run_no) ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        SELECT k.run_no INTO make_run_1.run_no FROM {schema}.flow_keys k
        WHERE k.tenant_no = make_run_1.tenant_no AND k.run_id = p_run;
        RETURN;
    END IF;
    INSERT INTO {schema}.flow_executions
    VALUES (make_run_1.run_no, make_run_1.tenant_no, p_run, make_run_1.def_no, p_at, 0, p_type, p_input);
    INSERT INTO {schema}.flow_open (run_no, def_no, holder, status)
    VALUES (make_run_1.run_no, make_run_1.def_no, p_holder, 0);
    made := true;
END $$;

-- The run that has taken a place and keeps it, pushed back if it is to be. It may be written only while nobody admits it.
CREATE FUNCTION {schema}.find_taken_1(
    p_queue text, p_tenant text, p_once uuid, p_workflow text, p_version bigint, p_shape bytea, p_type bytea, p_input bytea,
    p_now bigint, p_delay bigint, p_advance bigint, p_push bigint
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    v_taken {schema}.flow_queued;
    v_ready bigint;
BEGIN
    IF p_push IS NOT NULL THEN
        INSERT INTO {schema}.flow_queues (queue) VALUES (p_queue) ON CONFLICT DO NOTHING;
        PERFORM 1 FROM {schema}.flow_queues WHERE queue = p_queue FOR UPDATE;
    END IF;
    SELECT q.* INTO v_taken FROM {schema}.flow_queued q
    WHERE q.queue = p_queue AND q.once_id = p_once
        AND q.tenant_no = (SELECT t.tenant_no FROM {schema}.flow_tenants t WHERE t.tenant = p_tenant);
    IF v_taken.run_no IS NULL OR p_push IS NULL THEN
        RETURN v_taken.run_no;
    END IF;
    IF v_taken.state = 2 OR NOT EXISTS (
        SELECT 1 FROM {schema}.flow_definitions d
        WHERE d.def_no = v_taken.def_no AND d.workflow = p_workflow AND d.version = p_version AND d.shape = p_shape
    ) THEN
        UPDATE {schema}.flow_queued SET once_id = NULL WHERE run_no = v_taken.run_no;
        RETURN NULL;
    END IF;
    v_ready := least(p_now + p_delay, v_taken.enqueued_at + p_push);
    UPDATE {schema}.flow_queued
    SET state = CASE WHEN v_ready <= p_now THEN 1 ELSE 0 END, ready_at = v_ready, rank = v_ready - p_advance
    WHERE run_no = v_taken.run_no;
    UPDATE {schema}.flow_executions SET input_type = p_type, input = p_input WHERE run_no = v_taken.run_no;
    RETURN v_taken.run_no;
END $$;

-- Creates runs that wait. Each array has one of each; without a time of the caller's, the server's counts. outcome is 0 for a
-- run that was created, 1 if there is one of its id, 2 if its place is taken, and run_no is that of the one that is there.
CREATE FUNCTION {schema}.enqueue_1(
    p_now bigint, e_tenant text[], e_run uuid[], e_from bigint[], e_to bigint[], e_workflow text[], e_version bigint[],
    e_shape bytea[], e_plan text[], e_at bigint[], e_type bytea[], e_input bytea[], e_queue text[], e_key text[],
    e_delay bigint[], e_advance bigint[], e_cost bigint[], e_once uuid[], e_push bigint[]
) RETURNS TABLE (place integer, run_no bigint, outcome smallint) LANGUAGE plpgsql AS $$
DECLARE
    v_now bigint := coalesce(p_now, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint);
    v_made record;
    v_ready bigint;
BEGIN
    -- In one order for all, so that nobody waits in a circle.
    FOR place IN SELECT n FROM generate_subscripts(e_run, 1) AS n ORDER BY e_queue[n], e_once[n], e_run[n], n LOOP
        IF e_once[place] IS NOT NULL THEN
            PERFORM pg_advisory_xact_lock(hashtextextended(
                concat_ws(' ', '{schema}.once', e_once[place]::text, e_tenant[place], e_queue[place]), 0));
            SELECT k.run_no INTO enqueue_1.run_no FROM {schema}.flow_keys k JOIN {schema}.flow_tenants t USING (tenant_no)
            WHERE t.tenant = e_tenant[place] AND k.run_id = e_run[place];
            IF enqueue_1.run_no IS NULL THEN
                enqueue_1.run_no := {schema}.find_taken_1(
                    e_queue[place], e_tenant[place], e_once[place], e_workflow[place], e_version[place], e_shape[place],
                    e_type[place], e_input[place], v_now, e_delay[place], e_advance[place], e_push[place]);
                IF enqueue_1.run_no IS NOT NULL THEN
                    outcome := 2;
                    RETURN NEXT;
                    CONTINUE;
                END IF;
            END IF;
        END IF;
        SELECT * INTO v_made FROM {schema}.make_run_1(
            e_tenant[place], e_run[place], e_from[place], e_to[place], e_workflow[place], e_version[place], e_shape[place],
            e_plan[place], e_at[place], e_type[place], e_input[place], -1);
        enqueue_1.run_no := v_made.run_no;
        outcome := CASE WHEN v_made.made THEN 0 ELSE 1 END;
        IF v_made.made THEN
            IF NOT EXISTS (SELECT 1 FROM {schema}.flow_queues q WHERE q.queue = e_queue[place]) THEN
                INSERT INTO {schema}.flow_queues (queue) VALUES (e_queue[place]) ON CONFLICT DO NOTHING;
            END IF;
            v_ready := v_now + e_delay[place];
            INSERT INTO {schema}.flow_queued
            VALUES (v_made.run_no, e_queue[place], e_key[place], v_made.tenant_no, v_made.def_no,
                    CASE WHEN v_ready <= v_now THEN 1 ELSE 0 END, v_ready - e_advance[place], e_cost[place], v_now, v_ready,
                    e_once[place]);
        END IF;
        RETURN NEXT;
    END LOOP;
    PERFORM pg_notify('{channel}', 'q');
END $$;

-- Begins to admit runs of a queue: nobody else does until the transaction ends. Gives the time that counts, the rules and
-- what is remembered; no row if the queue has no rules.
CREATE FUNCTION {schema}.open_queue_1(p_token bigint, p_queue text, p_now bigint)
RETURNS TABLE (now bigint, rules bytea, books text) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM {schema}.hold_lease_1(p_token);
    PERFORM {schema}.expire_leases_1(p_token, p_now);
    INSERT INTO {schema}.flow_queues (queue) VALUES (p_queue) ON CONFLICT DO NOTHING;
    SELECT q.books INTO open_queue_1.books FROM {schema}.flow_queues q WHERE q.queue = p_queue FOR UPDATE;
    SELECT e.value INTO open_queue_1.rules FROM {schema}.entries e
    WHERE e.kind = 'queue' AND e.tenant = 'default' AND e.name = p_queue;
    IF open_queue_1.rules IS NOT NULL THEN
        open_queue_1.now := coalesce(p_now, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint);
        RETURN NEXT;
    END IF;
END $$;

-- Gives runs to a lease: those of these holders, oldest first, and how many in a row have died over each. Not those of queues,
-- which are admitted, and not those whose executor's journal somebody else is moving just now.
CREATE FUNCTION {schema}.claim_1(
    p_token bigint, p_holders bigint[], d_workflow text[], d_version bigint[], d_shape bytea[], p_skip bigint[], p_limit bigint
) RETURNS TABLE (claimed bigint, died bigint) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM {schema}.hold_lease_1(p_token);
    RETURN QUERY
    WITH served AS MATERIALIZED (
        SELECT d.def_no FROM {schema}.flow_definitions d
        JOIN unnest(d_workflow, d_version, d_shape) AS s (workflow, version, shape) USING (workflow, version, shape)
    ), picked AS MATERIALIZED (
        -- Of each holder as many as may be needed: what is not taken after all is free again in a moment.
        SELECT f.run_no FROM unnest(p_holders) AS h (token), LATERAL (
            SELECT o.run_no FROM {schema}.flow_open o
            WHERE o.holder = h.token AND o.def_no IN (SELECT def_no FROM served) AND o.run_no <> ALL (p_skip)
                AND NOT EXISTS (SELECT 1 FROM {schema}.flow_queued q WHERE q.run_no = o.run_no)
            ORDER BY o.run_no LIMIT p_limit FOR UPDATE OF o SKIP LOCKED
        ) f
        WHERE h.token = 0 OR EXISTS (SELECT 1 FROM {schema}.flow_leases l WHERE l.token = h.token AND l.folded)
        ORDER BY f.run_no LIMIT p_limit
    )
    UPDATE {schema}.flow_open o SET
        holder = p_token,
        deaths = CASE WHEN n.died IS NULL THEN 0 WHEN o.deaths > 0 AND o.records = n.died THEN o.deaths + 1 ELSE 1 END,
        records = coalesce(n.died, 0)
    FROM (
        SELECT p.run_no, CASE WHEN p.counts THEN coalesce(
            (SELECT h.first_seq + h.count FROM {schema}.flow_history h
             WHERE h.run_no = p.run_no ORDER BY h.first_seq DESC LIMIT 1), 0) END AS died
        FROM (
            SELECT picked.run_no, w.status <> 2
                AND EXISTS (SELECT 1 FROM {schema}.flow_leases l WHERE l.token = w.holder AND l.ended AND NOT l.released) AS counts
            FROM picked JOIN {schema}.flow_open w ON w.run_no = picked.run_no
        ) p
    ) n
    WHERE o.run_no = n.run_no RETURNING o.run_no, o.deaths::bigint;
END $$;
