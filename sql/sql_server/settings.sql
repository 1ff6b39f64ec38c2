-- Readers see the last committed rows and do not wait for writers. Only for whoever is alone in the database; others make
-- it fail at once instead of waiting for them.
ALTER DATABASE CURRENT SET READ_COMMITTED_SNAPSHOT ON WITH NO_WAIT;
GO
-- A transaction that only reads may see one moment (Database.read).
ALTER DATABASE CURRENT SET ALLOW_SNAPSHOT_ISOLATION ON;
GO
-- A commit is answered when it is on the disk.
ALTER DATABASE CURRENT SET DELAYED_DURABILITY = DISABLED;
