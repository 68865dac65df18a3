-- What hosts do in transactions of their own.

-- The definitions that executors serve, for those who start runs without a program that knows them.
CREATE TABLE {schema}.flow_served (
    workflow text COLLATE "C" NOT NULL,
    version  bigint NOT NULL,
    shape    bytea NOT NULL,
    seen_at  timestamptz NOT NULL DEFAULT now(), -- an executor that serves it says so each minute
    PRIMARY KEY (workflow, version, shape)
);

-- What transactional steps did. A row is part of the transaction of its step: if it is there, all of it is. It is there for
-- as long as its run is, since nobody knows when the last attempt that may ask for it is over, and then it goes, since
-- another run may get the same id. A step of an engine whose runs are elsewhere is remembered for ever.
CREATE TABLE {schema}.flow_effects (
    key     text COLLATE "C" PRIMARY KEY, -- the step's idempotency key
    tenant  text COLLATE "C" NOT NULL,
    run     uuid NOT NULL,
    made_at timestamptz NOT NULL DEFAULT now(), -- for people: nothing is decided by it
    output  bytea
);
CREATE INDEX flow_effects_of ON {schema}.flow_effects (run, tenant);

-- The numbers of a tenant and a definition, new ones if there are none. It is looked first: an insert that finds its row there
-- takes a number of the sequence all the same, and these are not endless.
CREATE FUNCTION {schema}.number_1(
    p_tenant text, p_workflow text, p_version bigint, p_shape bytea, p_plan text, OUT tenant_no integer, OUT def_no integer
) LANGUAGE plpgsql AS $$
BEGIN
    SELECT t.tenant_no INTO number_1.tenant_no FROM {schema}.flow_tenants t WHERE t.tenant = p_tenant;
    IF NOT FOUND THEN
        INSERT INTO {schema}.flow_tenants (tenant) VALUES (p_tenant) ON CONFLICT DO NOTHING;
        SELECT t.tenant_no INTO number_1.tenant_no FROM {schema}.flow_tenants t WHERE t.tenant = p_tenant;
    END IF;
    SELECT d.def_no INTO number_1.def_no FROM {schema}.flow_definitions d
    WHERE d.tenant_no = number_1.tenant_no AND d.workflow = p_workflow AND d.version = p_version AND d.shape = p_shape;
    IF NOT FOUND THEN
        INSERT INTO {schema}.flow_definitions (tenant_no, workflow, version, shape, plan)
        VALUES (number_1.tenant_no, p_workflow, p_version, p_shape, p_plan) ON CONFLICT DO NOTHING;
        SELECT d.def_no INTO number_1.def_no FROM {schema}.flow_definitions d
        WHERE d.tenant_no = number_1.tenant_no AND d.workflow = p_workflow AND d.version = p_version AND d.shape = p_shape;
    END IF;
END $$;

-- Creates a run that nobody holds, unless there is one of its id: its number, and whether it was created.
CREATE FUNCTION {schema}.create_run_1(
    p_tenant text, p_run uuid, p_from bigint, p_to bigint, p_workflow text, p_version bigint, p_shape bytea, p_plan text,
    p_at bigint, p_type bytea, p_input bytea, OUT run_no bigint, OUT made boolean
) LANGUAGE plpgsql AS $$
DECLARE
    v_tenant integer;
    v_def integer;
    v_second bigint;
BEGIN
    SELECT n.tenant_no, n.def_no INTO v_tenant, v_def
    FROM {schema}.number_1(p_tenant, p_workflow, p_version, p_shape, p_plan) n;

    SELECT e.run_no INTO create_run_1.run_no FROM {schema}.flow_executions e
    WHERE e.tenant_no = v_tenant AND e.run_id = p_run AND e.run_no >= p_from AND e.run_no < p_to;
    made := false;
    IF create_run_1.run_no IS NOT NULL THEN
        RETURN;
    END IF;
    -- The last day there is, should nobody have made today's.
    SELECT least(floor(extract(epoch FROM clock_timestamp()))::bigint, (max(day) + 1) * 86400 - 1)
    INTO v_second FROM {schema}.days_1() AS d (day);
    create_run_1.run_no := (v_second << 31) | (nextval('{schema}.flow_numbers') & 2147483647);
    -- Whoever creates the same at the same time is waited for.
    INSERT INTO {schema}.flow_keys (tenant_no, run_id, run_no) VALUES (v_tenant, p_run, create_run_1.run_no)
    ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        SELECT k.run_no INTO create_run_1.run_no FROM {schema}.flow_keys k
        WHERE k.tenant_no = v_tenant AND k.run_id = p_run;
        RETURN;
    END IF;
    INSERT INTO {schema}.flow_executions
    VALUES (create_run_1.run_no, v_tenant, p_run, v_def, p_at, 0, p_type, p_input);
    INSERT INTO {schema}.flow_open (run_no, def_no, holder, status) VALUES (create_run_1.run_no, v_def, 0, 0);
    made := true;
    PERFORM pg_notify('{channel}', 'r');
END $$;

-- Starts a run, from any language, in the caller's transaction: its id. Without a version it is of the newest that an
-- executor serves. With the id of a run that exists it is that run, if it has the same workflow and input.
CREATE FUNCTION {schema}.start_run(
    workflow text, input json, id uuid DEFAULT gen_random_uuid(), tenant text DEFAULT 'default', version bigint DEFAULT NULL
) RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
    v_served {schema}.flow_served;
    v_version integer := get_byte(uuid_send(id), 6) >> 4;
    v_millis bigint := ('x' || substr(translate(id::text, '-', ''), 1, 12))::bit(48)::bigint;
    v_day bigint := v_millis / 86400000;
    v_run record;
BEGIN
    SELECT s.* INTO v_served FROM {schema}.flow_served s
    WHERE s.workflow = start_run.workflow AND (start_run.version IS NULL OR s.version = start_run.version)
    ORDER BY s.seen_at > now() - interval '5 minutes' DESC, s.version DESC, s.seen_at DESC LIMIT 1;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no executor has served workflow % (version %)', workflow, coalesce(version::text, 'any')
            USING ERRCODE = 'FN003', HINT = 'Executors make known what they serve when they are opened.';
    END IF;
    -- An id that was drawn (RFC 9562, version 7) says which day its run is in.
    IF v_version <> 7 OR v_millis >= 4294880895000 THEN
        v_day := NULL;
    END IF;
    SELECT * INTO v_run FROM {schema}.create_run_1(
        start_run.tenant, start_run.id, (v_day * 86400) << 31, ((v_day + 1) * 86400) << 31,
        v_served.workflow, v_served.version, v_served.shape, NULL,
        (extract(epoch FROM clock_timestamp()) * 1000000)::bigint, NULL, convert_to(start_run.input::text, 'UTF8'));
    IF NOT v_run.made AND NOT EXISTS (
        SELECT 1 FROM {schema}.flow_executions e JOIN {schema}.flow_definitions d ON d.def_no = e.def_no
        WHERE e.run_no = v_run.run_no AND d.workflow = v_served.workflow AND e.input_type IS NULL
            AND convert_from(e.input, 'UTF8')::jsonb = start_run.input::jsonb
    ) THEN
        RAISE EXCEPTION 'a run of id % was started with something else', id USING ERRCODE = 'FN002';
    END IF;
    RETURN id;
END $$;
