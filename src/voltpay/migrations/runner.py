"""Runs the history up and down with Alembic."""

from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Final

from voltpay.core.errors import Misconfigured

if TYPE_CHECKING:
    from alembic.config import Config

_SETTINGS: Final = Path(__file__).parent / "alembic.ini"
_ONE_A_PROCESS: Final = Lock()
"""Alembic keeps the migration that runs in a module."""


def migrate_up(url: str, revision: str = "head") -> list[str]:
    """Apply scripts up to a revision, each in one transaction; the revisions applied, in order.

    Raises Misconfigured for a changed script, a newer database or a revision that there is not,
    MigrationRuns while another process migrates, DatabaseRefused for a script that fails.
    """
    return _migrated(url, "upgrade", revision)


def migrate_down(url: str, revision: str) -> list[str]:
    """Undo scripts down to a revision (`base`: all); the revisions undone, in order.

    Raises what `migrate_up` raises.
    """
    return _migrated(url, "downgrade", revision)


def alembic_config(url: str) -> "Config":
    """The configuration for Alembic's own commands on a database."""
    from alembic.config import Config  # noqa: PLC0415

    config = Config(str(_SETTINGS))
    config.attributes["url"] = url
    return config


def _migrated(url: str, direction: str, revision: str) -> list[str]:
    from alembic import command  # noqa: PLC0415
    from alembic.util.exc import CommandError  # noqa: PLC0415

    config = alembic_config(url)
    done: list[str] = config.attributes.setdefault("done", [])
    try:
        with _ONE_A_PROCESS:
            getattr(command, direction)(config, revision)
    except CommandError as error:
        raise Misconfigured(
            f"cannot {direction} to {revision!r} ({error})", "see `voltpay migrate status`"
        ) from error
    return done
