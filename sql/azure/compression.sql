-- Optional: page compression of the large tables, a third of their size and of what is read from the disk. Parts are
-- separated by GO, each is tried by itself, and a refusal (an edition without it) is a warning.
IF EXISTS (SELECT 1 FROM sys.partitions WHERE object_id = OBJECT_ID('detection') AND index_id = 1 AND data_compression = 0)
ALTER TABLE detection REBUILD WITH (DATA_COMPRESSION = PAGE);
GO
IF EXISTS (SELECT 1 FROM sys.partitions WHERE object_id = OBJECT_ID('prediction') AND index_id = 1 AND data_compression = 0)
ALTER TABLE prediction REBUILD WITH (DATA_COMPRESSION = PAGE);
GO
IF EXISTS (SELECT 1 FROM sys.partitions WHERE object_id = OBJECT_ID('frame') AND index_id = 1 AND data_compression = 0)
ALTER TABLE frame REBUILD WITH (DATA_COMPRESSION = PAGE);
GO
IF EXISTS (SELECT 1 FROM sys.partitions WHERE object_id = OBJECT_ID('track_score') AND index_id = 1 AND data_compression = 0)
ALTER TABLE track_score REBUILD WITH (DATA_COMPRESSION = PAGE);
