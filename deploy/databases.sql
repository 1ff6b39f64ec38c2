-- Run once by the PostgreSQL of deploy/compose.yml, when its volume is new. The database of the product is made by
-- POSTGRES_DB; Dagster's records have one of their own.
CREATE DATABASE dagster OWNER chimp;
