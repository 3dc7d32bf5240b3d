-- After each `aftercall db upgrade`, as aftercall_owner: the audit only grows, and only the owner changes the schema.
REVOKE UPDATE, DELETE ON audit FROM aftercall_app;
REVOKE INSERT, UPDATE, DELETE ON alembic_version FROM aftercall_app;
