"""Adapters after training: published folders, the registry in SQL, the promotion gate."""
