-- Whether the executor that has the lease has the lock of the file too. One that takes the lease of a process that is stalled has
-- not, until that one lets go of it.
ALTER TABLE lease ADD COLUMN locked INTEGER NOT NULL DEFAULT 1;
