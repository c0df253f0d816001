"""The messages beside visa batches."""
