"""Takes engines away from a running Voltpay, and gives them back."""

import asyncio
import errno
import os
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest
import redis

from voltpay.app.engines import open_engines
from voltpay.cli.installation import found
from voltpay.foundation.engines.embedded import installed_urls

_CHUNK = bytes(64 * 1024)


def kill_engine(stack, name):
    """Kill an engine at once; its process id is another one on return: it was started again."""
    pid = stack.engine_pid(name)
    os.kill(pid, signal.SIGKILL)
    stack.until(lambda: stack.engine_pid(name) != pid, timeout_s=40)


@contextmanager
def away(stack, name):
    """Inside, an engine is dead, and whoever would start it again stands still."""
    pid = stack.engine_pid(name)
    os.kill(stack.process.pid, signal.SIGSTOP)
    try:
        os.kill(pid, signal.SIGKILL)
        yield
    finally:
        os.kill(stack.process.pid, signal.SIGCONT)
    stack.until(lambda: stack.engine_pid(name) != pid, timeout_s=40)


@contextmanager
def stopped(pid):
    """Inside, a process stands still."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def log_client(stack):
    """A client of the log's own server."""
    return redis.Redis.from_url(installed_urls(stack.folder).log)


def cache_client(stack):
    """A client of the cache's server."""
    return redis.Redis.from_url(installed_urls(stack.folder).cache)


def set_back(stack, topic, group):
    """Set a group's position back to the oldest record that the log keeps."""

    async def reset(settings):
        opened = open_engines(settings, "test")
        try:
            await opened.log.reset(getattr(settings.topics, topic), group)
        finally:
            await opened.close()

    with found(stack.folder, None) as settings:
        asyncio.run(reset(settings))


@contextmanager
def small_disk(place, size, mode):
    """Inside, a folder is a file system of its own with so much room. Skips where it cannot be."""
    place.mkdir(parents=True, exist_ok=True)
    options = f"size={size},mode={mode}"
    mount = ["mount", "-t", "tmpfs", "-o", options, "voltpay-test", place]
    if sys.platform != "linux" or subprocess.run(mount, check=False).returncode != 0:
        pytest.skip("a small file system takes root on Linux, in a container CAP_SYS_ADMIN")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


@contextmanager
def full(place):
    """Inside, the file system of a folder has not a byte left."""
    filler = place / "filler"
    with filler.open("wb", buffering=0) as file:
        size = len(_CHUNK)
        while size:
            try:
                file.write(_CHUNK[:size])
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                size //= 2
    try:
        yield
    finally:
        filler.unlink()
