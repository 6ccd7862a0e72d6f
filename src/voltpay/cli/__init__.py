"""The command line: one file a family of commands."""

from voltpay.cli.main import main

__all__ = ["main"]
