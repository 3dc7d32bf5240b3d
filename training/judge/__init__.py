"""Judging summaries: metrics, intervals, baselines, and the judgements that are kept."""
