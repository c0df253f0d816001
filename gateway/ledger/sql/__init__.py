"""The transactions and queries of the ledger, in the SQL that both databases read."""
