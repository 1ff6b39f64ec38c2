-- Two upgrades of one database take turns: the lock is held until the transaction ends.
EXEC sp_getapplock @Resource = 'chimp_assets_upgrade', @LockMode = 'Exclusive', @LockOwner = 'Transaction';
