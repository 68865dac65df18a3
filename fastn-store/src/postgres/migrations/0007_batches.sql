-- Items that become one run.

-- How many items a run of a queue has gathered, and the size of their list; null for one that gathers none.
ALTER TABLE {schema}.flow_queued ADD COLUMN items bigint, ADD COLUMN bytes bigint;

-- The items, as long as their run is kept. Until it is admitted or withdrawn the input of the run is empty and theirs are
-- here; then it has the list of them, and they have none.
CREATE TABLE {schema}.flow_batched (
    run_no    bigint NOT NULL,
    seq       bigint NOT NULL,
    queue     text COLLATE "C" NOT NULL,
    tenant_no integer NOT NULL,
    item      uuid NOT NULL,
    input     bytea,
    PRIMARY KEY (run_no, seq),
    UNIQUE (queue, tenant_no, item)
) WITH (fillfactor = 90);

-- The list that a run which gathers would be given now; null for any other.
CREATE FUNCTION {schema}.list_1(p_run bigint) RETURNS bytea LANGUAGE sql STABLE AS $$
    SELECT '['::bytea || string_agg(b.input, ','::bytea ORDER BY b.seq) || ']'::bytea
    FROM {schema}.flow_batched b WHERE b.run_no = p_run;
$$;

-- A run that is admitted or withdrawn gathers no more, whichever build does that.
CREATE FUNCTION {schema}.give_list_1() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE {schema}.flow_executions e SET input = {schema}.list_1(OLD.run_no) WHERE e.run_no = OLD.run_no;
    UPDATE {schema}.flow_batched b SET input = NULL WHERE b.run_no = OLD.run_no;
    RETURN NULL;
END $$;
CREATE TRIGGER flow_queued_admitted AFTER UPDATE OF state ON {schema}.flow_queued FOR EACH ROW
WHEN (OLD.items IS NOT NULL AND OLD.state < 2 AND NEW.state = 2) EXECUTE FUNCTION {schema}.give_list_1();
CREATE TRIGGER flow_queued_withdrawn AFTER DELETE ON {schema}.flow_queued FOR EACH ROW
WHEN (OLD.items IS NOT NULL AND OLD.state < 2) EXECUTE FUNCTION {schema}.give_list_1();

-- Puts an item into the run that has its place: that run's number and id, and whether it became ready. None if the item has to
-- be the first of another. What is read here is how things stand, since nobody else has the queue's lock.
CREATE FUNCTION {schema}.join_batch_1(
    p_queue text, p_tenant text, p_once uuid, p_workflow text, p_version bigint, p_shape bytea, p_item uuid, p_input bytea,
    p_most bigint, p_bytes bigint, p_now bigint, p_advance bigint, p_cost bigint,
    OUT run_no bigint, OUT run_id uuid, OUT is_ready boolean
) LANGUAGE plpgsql AS $$
DECLARE
    v_placed {schema}.flow_queued;
    v_tenant integer;
    v_bytes bigint;
    v_advance bigint;
    v_full boolean;
    v_ready bigint;
BEGIN
    is_ready := false;
    INSERT INTO {schema}.flow_queues (queue) VALUES (p_queue) ON CONFLICT DO NOTHING;
    PERFORM 1 FROM {schema}.flow_queues WHERE queue = p_queue FOR UPDATE;
    SELECT t.tenant_no INTO v_tenant FROM {schema}.flow_tenants t WHERE t.tenant = p_tenant;

    SELECT b.run_no INTO join_batch_1.run_no FROM {schema}.flow_batched b
    WHERE b.queue = p_queue AND b.tenant_no = v_tenant AND b.item = p_item;
    IF FOUND THEN
        SELECT e.run_id INTO join_batch_1.run_id FROM {schema}.flow_executions e WHERE e.run_no = join_batch_1.run_no;
        IF FOUND THEN
            RETURN;
        END IF;
        -- A build that knows nothing of items has deleted the run.
        DELETE FROM {schema}.flow_batched b WHERE b.run_no = join_batch_1.run_no;
        join_batch_1.run_no := NULL;
    END IF;

    SELECT q.* INTO v_placed FROM {schema}.flow_queued q
    WHERE q.queue = p_queue AND q.tenant_no = v_tenant AND q.once_id = p_once;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    v_advance := v_placed.ready_at - v_placed.rank;
    v_bytes := v_placed.bytes + length(p_input) + 1;
    IF v_placed.items IS NULL OR v_placed.state = 2 OR v_placed.items >= p_most OR v_bytes > p_bytes OR NOT EXISTS (
        SELECT 1 FROM {schema}.flow_definitions d
        WHERE d.def_no = v_placed.def_no AND d.workflow = p_workflow AND d.version = p_version AND d.shape = p_shape
    ) THEN
        UPDATE {schema}.flow_queued q SET once_id = NULL WHERE q.run_no = v_placed.run_no;
        IF v_placed.items IS NOT NULL AND v_placed.state < 2 THEN
            v_ready := least(v_placed.ready_at, p_now);
            UPDATE {schema}.flow_queued q SET state = 1, ready_at = v_ready, rank = v_ready - v_advance
            WHERE q.run_no = v_placed.run_no;
        END IF;
        RETURN;
    END IF;

    v_full := v_placed.items + 1 >= p_most OR v_bytes >= p_bytes;
    v_ready := CASE WHEN v_full THEN least(v_placed.ready_at, p_now) ELSE v_placed.ready_at END;
    UPDATE {schema}.flow_queued q SET
        state = CASE WHEN v_ready <= p_now THEN 1 ELSE v_placed.state END, ready_at = v_ready,
        rank = v_ready - greatest(v_advance, p_advance), cost = least(v_placed.cost + p_cost, 4294967295),
        items = v_placed.items + 1, bytes = v_bytes, once_id = CASE WHEN v_full THEN NULL ELSE v_placed.once_id END
    WHERE q.run_no = v_placed.run_no;
    INSERT INTO {schema}.flow_batched (run_no, seq, queue, tenant_no, item, input)
    VALUES (v_placed.run_no, v_placed.items, p_queue, v_tenant, p_item, p_input);
    join_batch_1.run_no := v_placed.run_no;
    is_ready := v_full;
    SELECT e.run_id INTO join_batch_1.run_id FROM {schema}.flow_executions e WHERE e.run_no = v_placed.run_no;
END $$;

-- The run that has taken a place and keeps it, pushed back if it is to be. It may be written only while nobody admits it. As it
-- was, but that a run which gathers is not pushed back.
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

-- Creates runs that wait, and puts items into them. Each array has one of each; without a time of the caller's, the server's
-- counts. outcome is 0 for a run that was created, 1 if there is one of its id, 2 if its place is taken, 3 for an item that is
-- in a run, 4 if that run became ready by it; run_no is that of the one that is there, and joined its id for an item.
CREATE FUNCTION {schema}.enqueue_2(
    p_now bigint, e_tenant text[], e_run uuid[], e_from bigint[], e_to bigint[], e_workflow text[], e_version bigint[],
    e_shape bytea[], e_plan text[], e_at bigint[], e_type bytea[], e_input bytea[], e_queue text[], e_key text[],
    e_delay bigint[], e_advance bigint[], e_cost bigint[], e_once uuid[], e_push bigint[],
    e_item uuid[], e_most bigint[], e_bytes bigint[]
) RETURNS TABLE (place integer, run_no bigint, outcome smallint, joined uuid) LANGUAGE plpgsql AS $$
DECLARE
    v_now bigint := coalesce(p_now, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint);
    v_made record;
    v_batch record;
    v_ready bigint;
    v_full boolean;
    v_news boolean := false;
BEGIN
    -- In one order for all, so that nobody waits in a circle.
    FOR place IN SELECT n FROM generate_subscripts(e_run, 1) AS n ORDER BY e_queue[n], e_once[n], n LOOP
        joined := NULL;
        IF e_item[place] IS NOT NULL THEN
            SELECT * INTO v_batch FROM {schema}.join_batch_1(
                e_queue[place], e_tenant[place], e_once[place], e_workflow[place], e_version[place], e_shape[place],
                e_item[place], e_input[place], e_most[place], e_bytes[place], v_now, e_advance[place], e_cost[place]);
            IF v_batch.run_no IS NOT NULL THEN
                enqueue_2.run_no := v_batch.run_no;
                joined := v_batch.run_id;
                outcome := CASE WHEN v_batch.is_ready THEN 4 ELSE 3 END;
                v_news := v_news OR v_batch.is_ready;
                RETURN NEXT;
                CONTINUE;
            END IF;
        ELSIF e_once[place] IS NOT NULL THEN
            PERFORM pg_advisory_xact_lock(hashtextextended(
                concat_ws(' ', '{schema}.once', e_once[place]::text, e_tenant[place], e_queue[place]), 0));
            SELECT k.run_no INTO enqueue_2.run_no FROM {schema}.flow_keys k JOIN {schema}.flow_tenants t USING (tenant_no)
            WHERE t.tenant = e_tenant[place] AND k.run_id = e_run[place];
            IF enqueue_2.run_no IS NULL THEN
                enqueue_2.run_no := {schema}.find_taken_1(
                    e_queue[place], e_tenant[place], e_once[place], e_workflow[place], e_version[place], e_shape[place],
                    e_type[place], e_input[place], v_now, e_delay[place], e_advance[place], e_push[place]);
                IF enqueue_2.run_no IS NOT NULL THEN
                    outcome := 2;
                    v_news := true;
                    RETURN NEXT;
                    CONTINUE;
                END IF;
            END IF;
        END IF;
        v_news := true;
        SELECT * INTO v_made FROM {schema}.make_run_1(
            e_tenant[place], e_run[place], e_from[place], e_to[place], e_workflow[place], e_version[place], e_shape[place],
            e_plan[place], e_at[place], e_type[place],
            CASE WHEN e_item[place] IS NULL THEN e_input[place] ELSE ''::bytea END, -1);
        enqueue_2.run_no := v_made.run_no;
        outcome := CASE WHEN v_made.made THEN 0 ELSE 1 END;
        IF v_made.made THEN
            IF NOT EXISTS (SELECT 1 FROM {schema}.flow_queues q WHERE q.queue = e_queue[place]) THEN
                INSERT INTO {schema}.flow_queues (queue) VALUES (e_queue[place]) ON CONFLICT DO NOTHING;
            END IF;
            v_full := e_item[place] IS NOT NULL AND (e_most[place] <= 1 OR length(e_input[place]) + 2 >= e_bytes[place]);
            v_ready := CASE WHEN v_full THEN v_now ELSE v_now + e_delay[place] END;
            INSERT INTO {schema}.flow_queued
            VALUES (v_made.run_no, e_queue[place], e_key[place], v_made.tenant_no, v_made.def_no,
                    CASE WHEN v_ready <= v_now THEN 1 ELSE 0 END, v_ready - e_advance[place], e_cost[place], v_now, v_ready,
                    CASE WHEN v_full THEN NULL ELSE e_once[place] END,
                    CASE WHEN e_item[place] IS NOT NULL THEN 1 END,
                    CASE WHEN e_item[place] IS NOT NULL THEN length(e_input[place]) + 2 END);
            IF e_item[place] IS NOT NULL THEN
                INSERT INTO {schema}.flow_batched (run_no, seq, queue, tenant_no, item, input)
                VALUES (v_made.run_no, 0, e_queue[place], v_made.tenant_no, e_item[place], e_input[place]);
            END IF;
        END IF;
        RETURN NEXT;
    END LOOP;
    IF v_news THEN
        PERFORM pg_notify('{channel}', 'q');
    END IF;
END $$;

-- What enqueues no items: transactions of hosts, and builds that know of none.
CREATE OR REPLACE FUNCTION {schema}.enqueue_1(
    p_now bigint, e_tenant text[], e_run uuid[], e_from bigint[], e_to bigint[], e_workflow text[], e_version bigint[],
    e_shape bytea[], e_plan text[], e_at bigint[], e_type bytea[], e_input bytea[], e_queue text[], e_key text[],
    e_delay bigint[], e_advance bigint[], e_cost bigint[], e_once uuid[], e_push bigint[]
) RETURNS TABLE (place integer, run_no bigint, outcome smallint) LANGUAGE sql AS $$
    SELECT q.place, q.run_no, q.outcome FROM {schema}.enqueue_2(
        p_now, e_tenant, e_run, e_from, e_to, e_workflow, e_version, e_shape, e_plan, e_at, e_type, e_input, e_queue, e_key,
        e_delay, e_advance, e_cost, e_once, e_push, NULL, NULL, NULL) q;
$$;

-- Creates a run that nobody holds, unless there is one of its id: its number, and whether it was created.
CREATE OR REPLACE FUNCTION {schema}.create_run_1(
    p_tenant text, p_run uuid, p_from bigint, p_to bigint, p_workflow text, p_version bigint, p_shape bytea, p_plan text,
    p_at bigint, p_type bytea, p_input bytea, OUT run_no bigint, OUT made boolean
) LANGUAGE plpgsql AS $$
BEGIN
    SELECT m.run_no, m.made INTO create_run_1.run_no, create_run_1.made FROM {schema}.make_run_1(
        p_tenant, p_run, p_from, p_to, p_workflow, p_version, p_shape, p_plan, p_at, p_type, p_input, 0) m;
    IF create_run_1.made THEN
        PERFORM pg_notify('{channel}', 'r');
    END IF;
END $$;

-- Ends a run that nobody has ever had: whether there is such a run. One that waits is withdrawn while nobody admits it.
CREATE FUNCTION {schema}.withdraw_1(
    p_tenant text, p_run uuid, p_from bigint, p_to bigint, p_at bigint, p_status smallint, p_count bigint, p_records bytea
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    v_tenant integer;
    v_run bigint;
    v_queue text;
BEGIN
    SELECT tenant_no INTO v_tenant FROM {schema}.flow_tenants WHERE tenant = p_tenant;
    SELECT run_no INTO v_run FROM {schema}.flow_executions
    WHERE tenant_no = v_tenant AND run_id = p_run AND run_no >= p_from AND run_no < p_to;
    IF v_run IS NULL THEN
        SELECT run_no INTO v_run FROM {schema}.flow_keys WHERE tenant_no = v_tenant AND run_id = p_run;
    END IF;
    SELECT queue INTO v_queue FROM {schema}.flow_queued WHERE run_no = v_run;
    IF v_queue IS NOT NULL THEN
        INSERT INTO {schema}.flow_queues (queue) VALUES (v_queue) ON CONFLICT DO NOTHING;
        PERFORM 1 FROM {schema}.flow_queues WHERE queue = v_queue FOR UPDATE;
    END IF;
    -- Its row of flow_queued goes with it. Nobody who has had a run leaves its holder like that.
    DELETE FROM {schema}.flow_open o WHERE o.run_no = v_run AND o.holder IN (0, -1) AND o.status = 0
        AND EXISTS (SELECT 1 FROM {schema}.flow_executions e WHERE e.run_no = v_run AND e.creator = 0)
        AND NOT EXISTS (SELECT 1 FROM {schema}.flow_history h WHERE h.run_no = v_run);
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO {schema}.flow_history (run_no, first_seq, count, status, finished_at, records)
    VALUES (v_run, 0, p_count, p_status, p_at, p_records);
    IF v_queue IS NOT NULL THEN
        PERFORM pg_notify('{channel}', 'q');
    END IF;
    -- Whoever waits for ends holds this lock shared.
    IF NOT pg_try_advisory_xact_lock(hashtext('{schema}.ends'), 0) THEN
        PERFORM pg_notify('{channel}', 'e');
    END IF;
    RETURN true;
END $$;
