"""A small house for the supervisor's tests: run as a script, it supervises the roles it is told.

    python house_of_roles.py FOLDER STRATEGY DRAIN_S NAME=KIND…

What happens is appended to FOLDER/events, a line each: `NAME WORD PID`.
"""

import asyncio
import logging
import os
import signal
import sys
import time
from pathlib import Path

import structlog

from voltpay.core.errors import Misconfigured, Unavailable
from voltpay.foundation.runtime.lifecycle import Lifecycle, run_role
from voltpay.foundation.runtime.logs import configure_logging
from voltpay.foundation.runtime.starting import fork, spawn
from voltpay.foundation.runtime.supervisor import Child, Supervisor


def note(folder: Path, name: str, word: str) -> None:
    """Append one event."""
    with (folder / "events").open("a") as events:
        events.write(f"{name} {word} {os.getpid()}\n")


async def live(folder: Path, name: str, kind: str, life: Lifecycle) -> None:
    """What a role of a kind does."""
    await begin(folder, name, kind)
    note(folder, name, "started")
    life.ready()
    if kind == "stuck":
        while True:
            time.sleep(1)  # noqa: ASYNC251 - a loop that is stuck
    if kind == "misconfigured-later" and is_first(folder, name):
        raise Misconfigured("lost", "nothing")
    await life.until_stopped()
    note(folder, name, "stopping")
    await asyncio.sleep({"slow": 60, "unhurried": 0.5}.get(kind, 0))
    note(folder, name, "stopped")


async def begin(folder: Path, name: str, kind: str) -> None:
    """What a role of a kind does before it is ready."""
    match kind:
        case "misconfigured":
            await raise_misconfigured()
        case "misconfigured-in-group":
            async with asyncio.TaskGroup() as group:
                group.create_task(raise_misconfigured())
        case "failing":
            raise RuntimeError("out of order")
        case "away" if is_first(folder, name):
            raise Unavailable("the database is away")
        case "chatty":
            structlog.contextvars.bind_contextvars(payment_id="p-1")
            logging.getLogger("library").info("a library chats")
            logging.getLogger("library").warning("a library complains")


def is_first(folder: Path, name: str) -> bool:
    """Whether this was not asked for the role before."""
    came = folder / f"{name}.came"
    was_there = came.exists()
    came.touch()
    return not was_there


async def raise_misconfigured() -> None:
    """Fail for good."""
    raise Misconfigured("port 9 is taken", "choose another")


def play(folder: Path, name: str, kind: str) -> None:
    """Run one role to its end."""
    if kind == "leaky":
        note(folder, name, "holds:" + ",".join(sorted(open_descriptors())))
    if kind == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        note(folder, name, "started")
        while True:
            time.sleep(1)
    run_role(
        name,
        lambda life: live(folder, name, kind, life),
        set_up_logs=lambda: configure_logging("info", name, path=folder / "log"),
    )


def open_descriptors() -> set[str]:
    """What each descriptor above stderr leads to; sockets without their number."""
    found = set()
    for number in os.listdir("/proc/self/fd"):
        if int(number) == 1 or int(number) == 2:
            continue
        try:
            found.add(os.readlink(f"/proc/self/fd/{number}").split(":")[0])
        except OSError:
            continue
    return found - {f"/proc/{os.getpid()}/fd"}


def supervise(folder: Path, strategy: str, drain_s: float, roles: list[str]) -> int:
    """The house itself; gives the exit code."""
    configure_logging("info", "supervisor", path=folder / "log")
    with (folder / "secret").open("w"):
        children = [child_of(folder, *role.split("=")) for role in roles]
        return Supervisor(
            children,
            tick=lambda: tick(folder),
            on_ready=lambda name: note(folder, name, "ready"),
            drain_s=drain_s,
            start={"fork": fork, "spawn": spawn}[strategy],
        ).run()


def child_of(folder: Path, name: str, kind: str) -> Child:
    """A role, ready for both ways of starting it."""
    return Child(
        name,
        run=lambda: play(folder, name, kind),
        argv=(sys.executable, __file__, str(folder), "role", name, kind),
    )


def tick(folder: Path) -> None:
    """Fail when the test wants it."""
    if (folder / "fail").exists():
        raise RuntimeError("an engine is gone")


if __name__ == "__main__":
    if sys.argv[2] == "role":
        play(Path(sys.argv[1]), sys.argv[3], sys.argv[4])
    else:
        folder, strategy, drain_s, *roles = sys.argv[1:]
        sys.exit(supervise(Path(folder), strategy, float(drain_s), roles))
