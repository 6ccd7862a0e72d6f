"""Routing: choose a processor for each payment, charge it there, at most once."""
