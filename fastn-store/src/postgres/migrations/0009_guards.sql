-- What guards runs against servers that go back in time and executors that do not end.

-- The runs that wait in a queue whose rules say nothing of keys, in their order.
CREATE INDEX flow_queued_ranked ON {schema}.flow_queued (queue, rank, run_no) WHERE state = 1;

-- Makes sure that commits of a lease are there that were acknowledged. A standby that has not heard of everything may have
-- been promoted: what goes on from what it never heard of would leave a gap for ever. Gives the lease, for whatever comes after.
CREATE FUNCTION {schema}.stands_1(p_token bigint, p_acknowledged bigint[]) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT count(*) FROM {schema}.flow_journal WHERE token = p_token AND seq = ANY (p_acknowledged))
        < cardinality(p_acknowledged)
    THEN
        RAISE EXCEPTION 'the server has lost what it acknowledged under lease %', p_token USING ERRCODE = 'FN005';
    END IF;
    RETURN p_token;
END $$;

-- Ends a lease whose executor gives it up: its runs are for whoever claims them, itself under its next one.
CREATE FUNCTION {schema}.give_up_1(p_token bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('{schema}.lease'), (p_token % 2147483647)::integer);
    UPDATE {schema}.flow_leases SET ended = true, released = true WHERE token = p_token;
    PERFORM {schema}.tell_1('r');
END $$;

-- Ends the sessions in which steps of a lease that has ended are under way in transactions: they can commit nothing any more,
-- and whoever makes the same attempt would wait for them. An executor that was stopped, or that has left the network, does not
-- end them itself.
CREATE FUNCTION {schema}.stop_effects_1(p_token bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_terminate_backend(l.pid) FROM pg_locks l
    WHERE l.locktype = 'advisory' AND l.objsubid = 2 AND l.granted AND l.pid <> pg_backend_pid()
        AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND l.classid::bigint = (hashtext('{schema}.once')::bigint & 4294967295) AND l.objid::bigint = p_token % 2147483647;
EXCEPTION WHEN insufficient_privilege THEN
    -- Executors whose users may not end each other's sessions wait for each other, as long as the server lets them.
    RAISE WARNING 'the sessions of lease % may not be ended', p_token;
END $$;
