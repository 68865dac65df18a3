-- Places that are given up, and taken in transactions of hosts.

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
