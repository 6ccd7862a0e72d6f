"""I12: no personal datum and no secret stands in clear in what an installation writes or shows."""

import mmap

from voltpay.cli.demo.load import PERSONAL

ROLES = ("api", "routing", "ledger", "projection")


def leaks(stack):
    """Where personal data or a secret stand in clear: files of the data folder, metrics."""
    password = (stack.folder / "postgres" / "password").read_bytes().strip()
    secret = (stack.folder / "secret").read_bytes()
    marks = [PERSONAL.encode(), password, secret, secret.hex().encode()]
    keepers = {stack.folder / "postgres" / "password", stack.folder / "secret"}
    files = [path for path in stack.folder.rglob("*") if path not in keepers]
    found = [str(path) for path in files if _holds(path, marks)]
    return found + [f"metrics of {role}" for role in ROLES if _shows(stack, role, marks)]


def _holds(path, marks):
    try:
        if not path.is_file() or path.is_symlink() or not path.stat().st_size:
            return False
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as content:
            return any(content.find(mark) >= 0 for mark in marks)
    except (FileNotFoundError, ValueError):
        return False


def _shows(stack, role, marks):
    text = stack.metrics(role).encode()
    return any(mark in text for mark in marks)
