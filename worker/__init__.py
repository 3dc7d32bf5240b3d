"""The GPU side: chunks of jobs in, summaries in the ledger."""
