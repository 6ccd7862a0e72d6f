"""Inquiry: the read model, and the answers that come from it."""
