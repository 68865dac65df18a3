-- Executors that serve different things, and runs that are handled with care.

-- Runs that nobody holds, or that an executor has left, may be of definitions that this executor does not serve, however many
-- there are: they are passed over without being read.
CREATE INDEX flow_open_for ON {schema}.flow_open (holder, def_no, run_no);
DROP INDEX {schema}.flow_open_of;

-- A queue has its row from the time it has rules, so that no transaction of a host's makes others wait that are the first to
-- use it.
INSERT INTO {schema}.flow_queues (queue) SELECT e.name FROM {schema}.entries e WHERE e.kind = 'queue' AND e.tenant = 'default'
ON CONFLICT DO NOTHING;

-- Compares and swaps an entry: whether it was as expected, its new version or the latest of its kind, and the version that
-- was found. p_expect is 0 for anything, 1 for nothing there, 2 for p_version.
CREATE OR REPLACE FUNCTION {schema}.put_entry_1(
    p_kind text, p_tenant text, p_name text, p_value bytea, p_expect smallint, p_version bigint,
    OUT admitted boolean, OUT new_version bigint, OUT present bigint
) LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO {schema}.entry_versions (kind, latest) VALUES (p_kind, 0) ON CONFLICT DO NOTHING;
    -- One at a time, of a kind; what is read after this is what the one before has written.
    SELECT latest INTO new_version FROM {schema}.entry_versions WHERE kind = p_kind FOR UPDATE;
    SELECT version INTO present FROM {schema}.entries WHERE kind = p_kind AND tenant = p_tenant AND name = p_name;
    admitted := p_expect = 0 OR (p_expect = 1 AND present IS NULL) OR (p_expect = 2 AND present IS NOT NULL AND present = p_version);
    IF NOT admitted OR (p_value IS NULL AND present IS NULL) THEN
        RETURN;
    END IF;
    new_version := new_version + 1;
    UPDATE {schema}.entry_versions SET latest = new_version WHERE kind = p_kind;
    IF p_value IS NULL THEN
        DELETE FROM {schema}.entries WHERE kind = p_kind AND tenant = p_tenant AND name = p_name;
    ELSE
        INSERT INTO {schema}.entries (kind, tenant, name, version, value)
        VALUES (p_kind, p_tenant, p_name, new_version, p_value)
        ON CONFLICT (kind, tenant, name) DO UPDATE SET version = excluded.version, value = excluded.value;
        IF p_kind = 'queue' AND p_tenant = 'default' THEN
            INSERT INTO {schema}.flow_queues (queue) VALUES (p_name) ON CONFLICT DO NOTHING;
        END IF;
    END IF;
END $$;

-- Ends the leases that were not renewed in time, and tells who has runs of these definitions to be claimed: nobody, which is 0,
-- and leases that have ended, and of these whether their journals are still to be moved. A lease in whose name nothing is left
-- is told too: it is to be forgotten.
CREATE FUNCTION {schema}.survey_2(p_token bigint, p_now bigint, d_workflow text[], d_version bigint[], d_shape bytea[])
RETURNS TABLE (holder bigint, unfolded boolean) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM {schema}.hold_lease_1(p_token);
    PERFORM {schema}.expire_leases_1(p_token, p_now);
    RETURN QUERY
    WITH served AS MATERIALIZED (
        SELECT d.def_no FROM {schema}.flow_definitions d
        JOIN unnest(d_workflow, d_version, d_shape) AS s (workflow, version, shape) USING (workflow, version, shape)
    ), left_behind AS (
        SELECT 0::bigint AS token, false AS fold
        UNION ALL SELECT l.token, NOT l.folded FROM {schema}.flow_leases l WHERE l.ended
    )
    SELECT b.token, b.fold FROM left_behind b
    -- One row of each at most, whatever there is of it.
    WHERE b.fold
        OR (SELECT max(one.found) FROM served s, LATERAL (
                SELECT 1 AS found FROM {schema}.flow_open o WHERE o.holder = b.token AND o.def_no = s.def_no LIMIT 1
            ) one) = 1
        OR (b.token <> 0 AND (SELECT 1 FROM {schema}.flow_open o WHERE o.holder = b.token LIMIT 1) IS NULL)
    ORDER BY b.token;
END $$;

-- Puts runs into the hands of a lease, and gives of each how many in a row have died over it.
CREATE FUNCTION {schema}.take_runs_1(p_token bigint, p_runs bigint[]) RETURNS TABLE (taken bigint, died bigint)
LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY
    UPDATE {schema}.flow_open o SET
        holder = p_token,
        deaths = CASE WHEN n.died IS NULL THEN 0 WHEN o.deaths > 0 AND o.records = n.died THEN o.deaths + 1 ELSE 1 END,
        records = coalesce(n.died, 0)
    FROM (
        SELECT p.run_no, CASE WHEN p.counts THEN coalesce(
            (SELECT h.first_seq + h.count FROM {schema}.flow_history h
             WHERE h.run_no = p.run_no ORDER BY h.first_seq DESC LIMIT 1), 0) END AS died
        FROM (
            SELECT w.run_no, w.status <> 2
                AND EXISTS (SELECT 1 FROM {schema}.flow_leases l WHERE l.token = w.holder AND l.ended AND NOT l.released) AS counts
            FROM {schema}.flow_open w WHERE w.run_no = ANY (p_runs)
        ) p
    ) n
    WHERE o.run_no = n.run_no RETURNING o.run_no, o.deaths::bigint;
END $$;

-- Gives runs to a lease: those of these holders, oldest first, and how many in a row have died over each. Not those of queues,
-- which are admitted, and not those whose executor's journal somebody else is moving just now. Of those that would be given
-- with p_deaths deaths, at most p_suspects; p_deaths is 0 if there is no such limit.
CREATE FUNCTION {schema}.claim_2(
    p_token bigint, p_holders bigint[], d_workflow text[], d_version bigint[], d_shape bytea[], p_skip bigint[], p_limit bigint,
    p_deaths bigint, p_suspects bigint
) RETURNS TABLE (claimed bigint, died bigint) LANGUAGE plpgsql AS $$
DECLARE
    v_runs bigint[];
BEGIN
    PERFORM {schema}.hold_lease_1(p_token);
    WITH served AS MATERIALIZED (
        SELECT d.def_no FROM {schema}.flow_definitions d
        JOIN unnest(d_workflow, d_version, d_shape) AS s (workflow, version, shape) USING (workflow, version, shape)
    ), holders AS MATERIALIZED (
        SELECT h.token, coalesce(NOT l.released, false) AS has_died
        FROM unnest(p_holders) AS h (token) LEFT JOIN {schema}.flow_leases l ON l.token = h.token AND l.ended
        WHERE h.token = 0 OR l.folded
    ), picked AS MATERIALIZED (
        -- Of each holder and definition as many as may be needed: what is not taken after all is free again in a moment.
        SELECT f.run_no FROM holders h, served s, LATERAL (
            SELECT o.run_no FROM {schema}.flow_open o
            WHERE o.holder = h.token AND o.def_no = s.def_no AND o.run_no <> ALL (p_skip)
                AND NOT EXISTS (SELECT 1 FROM {schema}.flow_queued q WHERE q.run_no = o.run_no)
                AND (p_deaths = 0 OR NOT h.has_died OR o.status = 2 OR (p_deaths > 1 AND o.deaths <> p_deaths - 1)
                    OR p_deaths <> CASE WHEN o.deaths > 0 AND o.records = coalesce(
                        (SELECT r.first_seq + r.count FROM {schema}.flow_history r
                         WHERE r.run_no = o.run_no ORDER BY r.first_seq DESC LIMIT 1), 0) THEN o.deaths + 1 ELSE 1 END)
            ORDER BY o.run_no LIMIT p_limit FOR UPDATE OF o SKIP LOCKED
        ) f
        ORDER BY f.run_no LIMIT p_limit
    ), suspects AS MATERIALIZED (
        SELECT f.run_no FROM holders h, served s, LATERAL (
            SELECT o.run_no FROM {schema}.flow_open o
            WHERE p_deaths > 0 AND p_suspects > 0 AND h.has_died
                AND o.holder = h.token AND o.def_no = s.def_no AND o.run_no <> ALL (p_skip)
                AND NOT EXISTS (SELECT 1 FROM {schema}.flow_queued q WHERE q.run_no = o.run_no)
                AND o.status <> 2 AND (p_deaths = 1 OR o.deaths = p_deaths - 1)
                AND p_deaths = CASE WHEN o.deaths > 0 AND o.records = coalesce(
                    (SELECT r.first_seq + r.count FROM {schema}.flow_history r
                     WHERE r.run_no = o.run_no ORDER BY r.first_seq DESC LIMIT 1), 0) THEN o.deaths + 1 ELSE 1 END
            ORDER BY o.run_no LIMIT p_suspects FOR UPDATE OF o SKIP LOCKED
        ) f
        ORDER BY f.run_no LIMIT p_suspects
    )
    SELECT array_agg(t.run_no) INTO v_runs
    FROM (SELECT run_no FROM picked UNION ALL SELECT run_no FROM suspects ORDER BY run_no LIMIT p_limit) t;
    RETURN QUERY SELECT * FROM {schema}.take_runs_1(p_token, v_runs);
END $$;

-- Starts a run, from any language, in the caller's transaction: its id. Without a version it is of the newest that an
-- executor serves. With the id of a run that exists it is that run, if it has the same workflow and input.
--
-- With a queue the run waits there for its turn. Its key has to be said where the queue finds it in the input; otherwise it is
-- the tenant. priority, delay and cost are as for any run of a queue.
DROP FUNCTION {schema}.start_run(text, json, uuid, text, bigint);
CREATE FUNCTION {schema}.start_run(
    workflow text, input json, id uuid DEFAULT gen_random_uuid(), tenant text DEFAULT 'default', version bigint DEFAULT NULL,
    queue text DEFAULT NULL, key text DEFAULT NULL, priority integer DEFAULT NULL, delay interval DEFAULT NULL,
    cost integer DEFAULT NULL
) RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
    v_served {schema}.flow_served;
    v_version integer := get_byte(uuid_send(id), 6) >> 4;
    v_millis bigint := ('x' || substr(translate(id::text, '-', ''), 1, 12))::bit(48)::bigint;
    v_day bigint := v_millis / 86400000;
    v_at bigint := (extract(epoch FROM clock_timestamp()) * 1000000)::bigint;
    v_input bytea := convert_to(start_run.input::text, 'UTF8');
    v_delay bigint := least(coalesce(extract(epoch FROM start_run.delay) * 1000000, 0)::numeric, 1152921504606846976);
    v_rules jsonb;
    v_run_no bigint;
    v_made boolean;
BEGIN
    SELECT s.* INTO v_served FROM {schema}.flow_served s
    WHERE s.workflow = start_run.workflow AND (start_run.version IS NULL OR s.version = start_run.version)
    ORDER BY s.seen_at > now() - interval '5 minutes' DESC, s.version DESC, s.seen_at DESC LIMIT 1;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no executor has served workflow % (version %)', start_run.workflow,
            coalesce(start_run.version::text, 'any')
            USING ERRCODE = 'FN003', HINT = 'Executors make known what they run when they are opened.';
    END IF;
    -- An id that was drawn (RFC 9562, version 7) says which day its run is in.
    IF v_version <> 7 OR v_millis >= 4294880895000 THEN
        v_day := NULL;
    END IF;
    IF start_run.queue IS NULL THEN
        IF start_run.key IS NOT NULL OR start_run.priority IS NOT NULL OR start_run.delay IS NOT NULL
            OR start_run.cost IS NOT NULL THEN
            RAISE EXCEPTION 'what is said about a queue needs one' USING ERRCODE = 'FN004', HINT = 'Say queue => its name.';
        END IF;
        SELECT c.run_no, c.made INTO v_run_no, v_made FROM {schema}.create_run_1(
            start_run.tenant, start_run.id, (v_day * 86400) << 31, ((v_day + 1) * 86400) << 31,
            v_served.workflow, v_served.version, v_served.shape, NULL, v_at, NULL, v_input) c;
    ELSE
        SELECT convert_from(e.value, 'UTF8')::jsonb INTO v_rules FROM {schema}.entries e
        WHERE e.kind = 'queue' AND e.tenant = 'default' AND e.name = start_run.queue;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'there is no queue %', start_run.queue
                USING ERRCODE = 'FN003', HINT = 'Executors make their queues known when they are opened.';
        END IF;
        IF (v_rules ->> 'v')::integer > 1 THEN
            RAISE EXCEPTION 'the rules of queue % were written by a later version', start_run.queue USING ERRCODE = 'FN004';
        END IF;
        IF start_run.key IS NULL THEN
            IF v_rules ->> 'key' IS NOT NULL THEN
                RAISE EXCEPTION 'queue % finds the key of a run in its input, at %', start_run.queue, v_rules ->> 'key'
                    USING ERRCODE = 'FN004', HINT = 'Say key => what is there.';
            END IF;
            start_run.key := start_run.tenant;
        ELSIF octet_length(start_run.key) > 256 OR start_run.key ~ '[\u0001-\u001F\u007F-\u009F]'
            OR start_run.key ~ '^[ \u00A0\u1680\u2000-\u200A\u2028\u2029\u202F\u205F\u3000]+$' THEN
            RAISE EXCEPTION 'a key is at most 256 bytes, not blank, and without control characters' USING ERRCODE = 'FN004';
        END IF;
        IF coalesce(start_run.priority, 0) NOT BETWEEN -32768 AND 32767 OR coalesce(start_run.cost, 1) < 0 OR v_delay < 0 THEN
            RAISE EXCEPTION 'a priority has 16 bits, and no cost and no delay is negative' USING ERRCODE = 'FN004';
        END IF;
        SELECT q.run_no, q.outcome = 0 INTO v_run_no, v_made FROM {schema}.enqueue_1(
            NULL, ARRAY[start_run.tenant], ARRAY[start_run.id], ARRAY[(v_day * 86400) << 31],
            ARRAY[((v_day + 1) * 86400) << 31], ARRAY[v_served.workflow::text], ARRAY[v_served.version],
            ARRAY[v_served.shape], ARRAY[NULL::text], ARRAY[v_at], ARRAY[NULL::bytea], ARRAY[v_input],
            ARRAY[start_run.queue], ARRAY[start_run.key], ARRAY[v_delay],
            ARRAY[coalesce(start_run.priority, 0) * coalesce((v_rules ->> 'ageing')::bigint, 60000000)],
            ARRAY[coalesce(start_run.cost, 1)::bigint], ARRAY[NULL::uuid], ARRAY[NULL::bigint]) q;
    END IF;
    IF NOT v_made AND NOT EXISTS (
        SELECT 1 FROM {schema}.flow_executions e JOIN {schema}.flow_definitions d ON d.def_no = e.def_no
        WHERE e.run_no = v_run_no AND d.workflow = v_served.workflow AND e.input_type IS NULL
            AND convert_from(e.input, 'UTF8')::jsonb = start_run.input::jsonb
    ) THEN
        RAISE EXCEPTION 'a run of id % was started with something else', id USING ERRCODE = 'FN002';
    END IF;
    RETURN id;
END $$;
