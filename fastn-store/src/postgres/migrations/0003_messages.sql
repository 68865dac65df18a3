-- What is sent to runs from outside.
--
-- A message that was acknowledged stays without its body, so that its repetition is known, until its run is deleted.

CREATE TABLE {schema}.flow_messages (
    message_no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_no     bigint NOT NULL,
    id         uuid NOT NULL,
    sent_at    bigint NOT NULL,
    body       bytea, -- null once acknowledged
    UNIQUE (run_no, id)
);
CREATE INDEX flow_messages_waiting ON {schema}.flow_messages (message_no) WHERE body IS NOT NULL;

-- Sends a message: -1 if there is no such run, the status of one that has ended, 0 if it was taken, 1 if it was known.
-- p_from and p_to are the range of numbers in which a run of a drawn id is.
CREATE FUNCTION {schema}.send_1(
    p_tenant text, p_run uuid, p_from bigint, p_to bigint, p_id uuid, p_sent_at bigint, p_body bytea
) RETURNS smallint LANGUAGE plpgsql AS $$
DECLARE
    v_tenant integer;
    v_run bigint;
    v_status smallint;
BEGIN
    SELECT tenant_no INTO v_tenant FROM {schema}.flow_tenants WHERE tenant = p_tenant;
    SELECT run_no INTO v_run FROM {schema}.flow_executions
    WHERE tenant_no = v_tenant AND run_id = p_run AND run_no >= p_from AND run_no < p_to;
    IF v_run IS NULL THEN
        SELECT run_no INTO v_run FROM {schema}.flow_keys WHERE tenant_no = v_tenant AND run_id = p_run;
    END IF;
    IF v_run IS NULL THEN
        RETURN -1;
    END IF;
    IF EXISTS (SELECT 1 FROM {schema}.flow_messages WHERE run_no = v_run AND id = p_id) THEN
        RETURN 1;
    END IF;
    SELECT status INTO v_status FROM {schema}.flow_history WHERE run_no = v_run AND status IS NOT NULL LIMIT 1;
    IF v_status IS NOT NULL THEN
        RETURN v_status;
    END IF;
    INSERT INTO {schema}.flow_messages (run_no, id, sent_at, body) VALUES (v_run, p_id, p_sent_at, p_body)
    ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RETURN 1;
    END IF;
    PERFORM pg_notify('{channel}', 'm');
    RETURN 0;
END $$;

-- Forgets messages but for their ids: those of runs that the lease holds or that have ended.
CREATE FUNCTION {schema}.acknowledge_1(p_token bigint, p_messages bigint[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM {schema}.hold_lease_1(p_token);
    UPDATE {schema}.flow_messages m SET body = NULL
    FROM {schema}.flow_executions e LEFT JOIN {schema}.flow_open o ON o.run_no = e.run_no
    WHERE m.message_no = ANY (p_messages) AND m.body IS NOT NULL AND e.run_no = m.run_no
        AND (coalesce(o.holder, e.creator) = p_token
            OR EXISTS (SELECT 1 FROM {schema}.flow_history h WHERE h.run_no = e.run_no AND h.status IS NOT NULL));
END $$;
