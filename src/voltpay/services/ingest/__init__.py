"""Ingest: say yes to a payment, once it is on disk."""
