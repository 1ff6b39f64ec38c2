-- Optional: three roles with no more rights than their work needs. Run it once as the owner of the database:
--   psql --file=sql/postgresql/roles.sql "$URL"
-- Then make people members: GRANT chimp_reader TO anna;
-- Default privileges: an upgrade recreates the views. They hold for what the role that runs this makes later, so run it
-- as the role that runs chimp db upgrade.
CREATE ROLE chimp_reader;
CREATE ROLE chimp_labeller;
CREATE ROLE chimp_operator;

-- Researchers: every table and view, but not who signs in how.
GRANT SELECT ON ALL TABLES IN SCHEMA public TO chimp_reader;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO chimp_reader;
REVOKE SELECT ON app_user, user_session, oidc_identity, quality_check, audit_event FROM chimp_reader;
REVOKE SELECT ON page_secret, sign_in_failure, oidc_answer FROM chimp_reader;

-- The labelling page: adds decisions and what hangs on them; changes or deletes none.
GRANT SELECT ON ALL TABLES IN SCHEMA public TO chimp_labeller;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO chimp_labeller;
GRANT INSERT ON annotation, individual, audit_event TO chimp_labeller;
GRANT INSERT, UPDATE, DELETE ON user_session, oidc_identity, sign_in_failure, oidc_answer TO chimp_labeller;
-- Passwords, and the first sign-in of people whom an identity provider vouches for.
GRANT INSERT, UPDATE ON app_user, quality_check TO chimp_labeller;
GRANT INSERT, DELETE ON item_media, reference_photo, standing_answer, track_evidence TO chimp_labeller;
-- Pages of many tracks, promises and what their samples say.
GRANT INSERT, UPDATE ON grid_page, grid_member, promise, promise_look, promise_draw TO chimp_labeller;
GRANT UPDATE ON counter, bundle TO chimp_labeller;
-- A split or a merge rewrites tracks and what is asked about them.
GRANT INSERT, UPDATE ON track, track_heir, answer_heir, acquisition_queue TO chimp_labeller;
GRANT INSERT ON detection TO chimp_labeller;
GRANT UPDATE ON reference_photo TO chimp_labeller;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO chimp_labeller;

-- The pipeline: everything but the schema itself and rewriting what people said.
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO chimp_operator;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO chimp_operator;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO chimp_operator;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE ON SEQUENCES TO chimp_labeller, chimp_operator;
REVOKE UPDATE, DELETE ON annotation, individual_merge, biography_log, audit_event FROM chimp_operator;
