"""The Alembic migrations of the ledger."""
