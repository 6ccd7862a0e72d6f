"""Voltpay: accept, route, post and answer payments. Start at `docs/way-of-a-payment.md`."""

__version__ = "0.1.0"
