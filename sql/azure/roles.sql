-- Optional: three roles with no more rights than their work needs. Make a person or a managed identity a member:
--   CREATE USER [chimp-page] FROM EXTERNAL PROVIDER;
--   ALTER ROLE chimp_labeller ADD MEMBER [chimp-page];
-- Rights are granted on the schema, since an upgrade recreates the views; a DENY wins over them.
CREATE ROLE chimp_reader;
GO
CREATE ROLE chimp_labeller;
GO
CREATE ROLE chimp_operator;
GO
-- Researchers: every table and view, but not who signs in how.
GRANT SELECT ON SCHEMA::dbo TO chimp_reader;
GO
DENY SELECT ON dbo.user_session TO chimp_reader;
GO
DENY SELECT ON dbo.app_user TO chimp_reader;
GO
DENY SELECT ON dbo.audit_event TO chimp_reader;
GO
DENY SELECT ON dbo.oidc_identity TO chimp_reader;
GO
DENY SELECT ON dbo.quality_check TO chimp_reader;
GO
DENY SELECT ON dbo.page_secret TO chimp_reader;
GO
DENY SELECT ON dbo.sign_in_failure TO chimp_reader;
GO
DENY SELECT ON dbo.oidc_answer TO chimp_reader;
GO
-- The labelling page: adds decisions and what hangs on them; changes or deletes none.
GRANT SELECT ON SCHEMA::dbo TO chimp_labeller;
GO
GRANT INSERT ON dbo.annotation TO chimp_labeller;
GO
GRANT INSERT ON dbo.individual TO chimp_labeller;
GO
GRANT INSERT ON dbo.audit_event TO chimp_labeller;
GO
GRANT INSERT, UPDATE, DELETE ON dbo.user_session TO chimp_labeller;
GO
GRANT INSERT, UPDATE, DELETE ON dbo.oidc_identity TO chimp_labeller;
GO
GRANT INSERT, UPDATE, DELETE ON dbo.sign_in_failure TO chimp_labeller;
GO
GRANT INSERT, UPDATE, DELETE ON dbo.oidc_answer TO chimp_labeller;
GO
-- Passwords, and the first sign-in of people whom an identity provider vouches for.
GRANT INSERT, UPDATE ON dbo.app_user TO chimp_labeller;
GO
GRANT INSERT, UPDATE ON dbo.quality_check TO chimp_labeller;
GO
GRANT INSERT, DELETE ON dbo.item_media TO chimp_labeller;
GO
GRANT INSERT, DELETE ON dbo.standing_answer TO chimp_labeller;
GO
GRANT INSERT, DELETE ON dbo.track_evidence TO chimp_labeller;
GO
-- Pages of many tracks, promises and what their samples say.
GRANT INSERT, UPDATE ON dbo.grid_page TO chimp_labeller;
GO
GRANT INSERT, UPDATE ON dbo.grid_member TO chimp_labeller;
GO
GRANT INSERT, UPDATE ON dbo.promise TO chimp_labeller;
GO
GRANT INSERT, UPDATE ON dbo.promise_look TO chimp_labeller;
GO
GRANT INSERT, UPDATE ON dbo.promise_draw TO chimp_labeller;
GO
GRANT INSERT, DELETE ON dbo.reference_photo TO chimp_labeller;
GO
GRANT UPDATE ON dbo.counter TO chimp_labeller;
GO
GRANT UPDATE ON dbo.bundle TO chimp_labeller;
GO
-- A split or a merge rewrites tracks and what is asked about them.
GRANT INSERT, UPDATE ON dbo.track TO chimp_labeller;
GO
GRANT INSERT ON dbo.detection TO chimp_labeller;
GO
GRANT INSERT, UPDATE ON dbo.track_heir TO chimp_labeller;
GO
GRANT INSERT, UPDATE ON dbo.answer_heir TO chimp_labeller;
GO
GRANT INSERT, UPDATE ON dbo.acquisition_queue TO chimp_labeller;
GO
GRANT UPDATE ON dbo.reference_photo TO chimp_labeller;
GO
-- The pipeline: everything but the schema itself (chimp db upgrade is its owner's work) and rewriting what people said.
GRANT SELECT, INSERT, UPDATE, DELETE ON SCHEMA::dbo TO chimp_operator;
GO
DENY UPDATE, DELETE ON dbo.annotation TO chimp_operator;
GO
DENY UPDATE, DELETE ON dbo.individual_merge TO chimp_operator;
GO
DENY UPDATE, DELETE ON dbo.biography_log TO chimp_operator;
GO
DENY UPDATE, DELETE ON dbo.audit_event TO chimp_operator;
