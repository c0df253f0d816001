"""The ledger: the only truth. Every accepted message, every intent, every answer, in SQL."""
