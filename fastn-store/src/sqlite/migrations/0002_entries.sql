-- What is kept beside runs: small values with versions, such as schedules. Nothing of this is touched by a step.

CREATE TABLE entries (
    kind    TEXT    NOT NULL,
    tenant  TEXT    NOT NULL,
    name    TEXT    NOT NULL,
    version INTEGER NOT NULL,
    value   BLOB    NOT NULL,
    PRIMARY KEY (kind, tenant, name)
) STRICT;

-- The last version that was given to an entry of a kind. It stays when the entry is deleted: no version comes back.
CREATE TABLE entry_versions (
    kind   TEXT    NOT NULL PRIMARY KEY,
    latest INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
