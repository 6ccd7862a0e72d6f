"""The roles: which stages, handlers and periodic work one process runs."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Role:
    """A row: `stages` it runs, services whose `handlers` it serves and `periodics` it repeats.

    `port` is the fixed default of `voltpay run`; role api listens on the one of the settings.
    `niceness` is what `voltpay up` gives it on the machine that it shares with the others: when
    there is more to do than cores, payments are accepted first, then routed and posted, then shown.
    """

    name: str
    stages: tuple[str, ...] = ()
    handlers: tuple[str, ...] = ()
    periodics: tuple[str, ...] = ()
    port: int = 0
    niceness: int = 0


ROLES: Final = (
    Role(
        "api",
        handlers=("ingest", "inquiry", "routing", "dead", "sandbox"),
        periodics=("ingest", "inquiry"),
    ),
    Role("ingest", handlers=("ingest",), periodics=("ingest",), port=8080),
    Role(
        "routing",
        stages=("route",),
        handlers=("routing",),
        periodics=("routing",),
        port=8081,
        niceness=5,
    ),
    Role("ledger", stages=("post",), periodics=("ledger", "log"), port=8082, niceness=5),
    Role(
        "projection",
        stages=("project", "shelve"),
        handlers=("dead",),
        periodics=("cache",),
        port=8083,
        niceness=5,
    ),
    Role("inquiry", handlers=("inquiry",), periodics=("inquiry",), port=8084),
)
SANDBOX_NICENESS: Final = 5
"""Simulated processors stand for machines elsewhere: they must not take a core from accepting."""
UP: Final = ("api", "routing", "ledger", "projection")
"""What `voltpay up` runs, in the order in which it drains."""


def role_named(name: str) -> Role | None:
    """The row of a role; None for any other name."""
    return next((role for role in ROLES if role.name == name), None)
