"""Labelled conversations: datasets, splits, and corrections by reviewers."""
