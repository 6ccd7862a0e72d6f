"""Puts the house together: the only wiring."""
