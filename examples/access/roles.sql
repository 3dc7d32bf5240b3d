-- Two roles for one ledger: the owner makes and changes the tables (`aftercall db upgrade`), everything else works as
-- aftercall_app, which can neither change a table nor what the audit has recorded. Run it as a superuser, once, in a
-- database of aftercall's own, before the first upgrade; write passwords of your own.
CREATE ROLE aftercall_owner LOGIN PASSWORD 'OWNER_PASSWORD';
CREATE ROLE aftercall_app LOGIN PASSWORD 'APP_PASSWORD';
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA public TO aftercall_owner;
GRANT USAGE ON SCHEMA public TO aftercall_app;
ALTER DEFAULT PRIVILEGES FOR ROLE aftercall_owner IN SCHEMA public
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO aftercall_app;
ALTER DEFAULT PRIVILEGES FOR ROLE aftercall_owner IN SCHEMA public
    GRANT USAGE, SELECT ON SEQUENCES TO aftercall_app;
