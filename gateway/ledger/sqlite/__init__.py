"""The embedded ledger: one process or group, one of which writes at a time, many readers that can't write."""
