"""The HTTP server of a role, and where it listens."""

from dataclasses import dataclass
from pathlib import Path

from voltpay.app.engines import open_engines
from voltpay.app.house import House, build
from voltpay.app.roles import ROLES, Role
from voltpay.app.settings import Settings
from voltpay.foundation.runtime.serve import ReadyChecks, Server, make_app, server_on


@dataclass(frozen=True)
class Address:
    """Where a role listens: a port, or a Unix socket where one is given.

    `courtesy` is the file by which roles that share a machine ask one another to hold back.
    """

    host: str = "127.0.0.1"
    port: int = 0
    socket: Path | None = None
    courtesy: Path | None = None


def rehearse(settings: Settings) -> None:
    """Build what every role builds, and throw it away. Nothing is connected.

    Libraries import more and fill caches when they are first used: what stands in a supervisor
    before it forks, all roles share.
    """
    for role in ROLES:
        house = build(settings, open_engines(settings, role.name))
        server_of(role, house, dict, Address())


def server_of(role: Role, house: House, checks: ReadyChecks, address: Address) -> Server:
    """The HTTP server of a role, where it listens; nothing listens yet."""
    handlers = [handler for name in role.handlers for handler in house.parts[name].handlers]
    operations = house.operations if "ingest" in role.handlers else {}
    shortcuts = {
        key: shortcut
        for name in role.handlers
        for key, shortcut in house.parts[name].shortcuts.items()
    }
    app = make_app(handlers, checks, operations, shortcuts)
    return server_on(app, host=address.host, port=address.port, socket=address.socket)
