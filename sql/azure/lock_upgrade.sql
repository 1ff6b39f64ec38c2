-- Two upgrades of one database take turns: the lock is held until the transaction ends, which must have begun. Answers with
-- one row: 0 or 1, the lock is ours; below 0, it is not.
SET NOCOUNT ON;
DECLARE @code INT;
EXEC @code = sp_getapplock @Resource = 'chimp_assets_upgrade', @LockMode = 'Exclusive', @LockOwner = 'Transaction',
    @LockTimeout = 600000;
SELECT @code AS code;
