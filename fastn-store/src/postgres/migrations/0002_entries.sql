-- What is kept beside runs: small values with versions, such as schedules. Nothing of this is touched by a step.

CREATE TABLE {schema}.entries (
    kind    text COLLATE "C" NOT NULL,
    tenant  text COLLATE "C" NOT NULL,
    name    text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    value   bytea NOT NULL,
    PRIMARY KEY (kind, tenant, name)
);

-- The last version that was given to an entry of a kind. It stays when the entry is deleted: no version comes back.
CREATE TABLE {schema}.entry_versions (
    kind   text COLLATE "C" PRIMARY KEY,
    latest bigint NOT NULL
) WITH (fillfactor = 50);

-- Compares and swaps an entry: whether it was as expected, its new version or the latest of its kind, and the version that
-- was found. p_expect is 0 for anything, 1 for nothing there, 2 for p_version.
CREATE FUNCTION {schema}.put_entry_1(
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
    END IF;
END $$;
