"""Command lines that must be refused: exit code 2, one line, no traceback, nothing made."""

import os
import subprocess
import sys

from tests.stack import free_ports


def refused(folder, *words, settings=None, timeout_s=60):
    """The line that a command run in a folder ends with; the folder is as it was before."""
    before = tree(folder)
    done = subprocess.run(
        [sys.executable, "-m", "voltpay", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
        stdin=subprocess.DEVNULL,
        env=environment(folder, settings or {}),
        cwd=folder,
    )
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert done.stderr.startswith("voltpay: ")
    assert done.stderr.count("\n") == 1, done.stderr
    assert tree(folder) == before
    return done.stderr


def refused_up(folder, data, *flags, settings=None):
    """The line that `voltpay up` on free ports ends with, which flags may say otherwise."""
    port, *others = map(str, free_ports(3))
    free = ["--port", port, "--sandbox-ports", ",".join(others)]
    return refused(folder, "up", "--data", data, *free, *flags, settings=settings)


def environment(folder, settings):
    """The environment with these settings and no others; the user's data folder is in `folder`."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("VOLTPAY_")}
    return {**others, "XDG_DATA_HOME": str(folder / "of-the-user"), **settings}


def tree(folder):
    """What lies below a folder."""
    return sorted(folder.rglob("*"))
