"""The embedded ledger: one process, one writer connection, many readers that can't write."""
