"""The ledger on PostgreSQL: the same transactions, run by many processes beside each other."""
