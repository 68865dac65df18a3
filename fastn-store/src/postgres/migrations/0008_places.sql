-- Places that are given up, and taken by items in transactions of hosts; and rules that no text of this database can have.

-- As it was, but that a run which gathers and has to give its place up waits no longer.
CREATE OR REPLACE FUNCTION {schema}.find_taken_1(
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
    IF v_taken.state = 2 OR v_taken.items IS NOT NULL OR NOT EXISTS (
        SELECT 1 FROM {schema}.flow_definitions d
        WHERE d.def_no = v_taken.def_no AND d.workflow = p_workflow AND d.version = p_version AND d.shape = p_shape
    ) THEN
        -- What gathers gives its place up, and so there is nothing more for it to wait for.
        v_ready := CASE WHEN v_taken.items IS NOT NULL AND v_taken.state < 2 THEN least(v_taken.ready_at, p_now) END;
        UPDATE {schema}.flow_queued SET
            once_id = NULL, state = CASE WHEN v_ready IS NULL THEN state ELSE 1 END, ready_at = coalesce(v_ready, ready_at),
            rank = rank - ready_at + coalesce(v_ready, ready_at)
        WHERE run_no = v_taken.run_no;
        RETURN NULL;
    END IF;
    v_ready := least(p_now + p_delay, v_taken.enqueued_at + p_push);
    UPDATE {schema}.flow_queued
    SET state = CASE WHEN v_ready <= p_now THEN 1 ELSE 0 END, ready_at = v_ready, rank = v_ready - p_advance
    WHERE run_no = v_taken.run_no;
    UPDATE {schema}.flow_executions SET input_type = p_type, input = p_input WHERE run_no = v_taken.run_no;
    RETURN v_taken.run_no;
END $$;

-- As it was, but that whoever admits waits for the queue's lock for a moment only: a transaction of a host's may have it for
-- long, and other queues must go on.
CREATE OR REPLACE FUNCTION {schema}.open_queue_1(p_token bigint, p_queue text, p_now bigint)
RETURNS TABLE (now bigint, rules bytea, books text) LANGUAGE plpgsql AS $$
DECLARE
    v_patience text := current_setting('lock_timeout');
BEGIN
    PERFORM {schema}.hold_lease_1(p_token);
    PERFORM {schema}.expire_leases_1(p_token, p_now);
    INSERT INTO {schema}.flow_queues (queue) VALUES (p_queue) ON CONFLICT DO NOTHING;
    PERFORM set_config('lock_timeout', '250ms', true);
    SELECT q.books INTO open_queue_1.books FROM {schema}.flow_queues q WHERE q.queue = p_queue FOR UPDATE;
    PERFORM set_config('lock_timeout', v_patience, true);
    SELECT e.value INTO open_queue_1.rules FROM {schema}.entries e
    WHERE e.kind = 'queue' AND e.tenant = 'default' AND e.name = p_queue;
    IF open_queue_1.rules IS NOT NULL THEN
        open_queue_1.now := coalesce(p_now, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint);
        RETURN NEXT;
    END IF;
END $$;

-- As it was, but for rules with a character that no text has here, such as a pointer to a key may have: in its place another one
-- is told.
CREATE OR REPLACE FUNCTION {schema}.start_run(
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
        SELECT replace(convert_from(e.value, 'UTF8'), '\u0000', '\ufffd')::jsonb INTO v_rules FROM {schema}.entries e
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
