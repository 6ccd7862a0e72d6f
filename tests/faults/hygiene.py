"""I12: no personal datum and no secret stands in clear in what an installation writes or shows."""

import os
from pathlib import Path

from voltpay.cli.demo.load import PERSONAL

CHUNK, OVERLAP = 1024 * 1024, 128
ROLES = ("api", "routing", "ledger", "projection")


def leaks(stack):
    """Where personal data or a secret stand in clear: files of the data folder, metrics."""
    password = (stack.folder / "postgres" / "password").read_bytes().strip()
    secret = (stack.folder / "secret").read_bytes()
    marks = [PERSONAL.encode(), password, secret, secret.hex().encode()]
    keepers = {stack.folder / "postgres" / "password", stack.folder / "secret"}
    # Not rglob: what a living server removes meanwhile would end it.
    walked = ((Path(place), names) for place, _, names in os.walk(stack.folder))
    files = [
        path for place, names in walked for name in names if (path := place / name) not in keepers
    ]
    found = [str(path) for path in files if _holds(path, marks)]
    return found + [f"metrics of {role}" for role in ROLES if _shows(stack, role, marks)]


def _holds(path, marks):
    try:
        if not path.is_file() or path.is_symlink():
            return False
        with path.open("rb") as file:
            held = b""
            while chunk := file.read(CHUNK):
                held = held[-OVERLAP:] + chunk
                if any(mark in held for mark in marks):
                    return True
    except FileNotFoundError:
        return False
    return False


def _shows(stack, role, marks):
    text = stack.metrics(role).encode()
    return any(mark in text for mark in marks)
