"""Files and folders that are ours alone, and plain words for what the system refuses."""

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from errno import ENOTDIR
from pathlib import Path

from voltpay.core.errors import Misconfigured


def make_private(path: Path, *, is_passable: bool = False) -> None:
    """Make a folder that only we may list; as root one that others may pass, where asked for."""
    is_open = is_passable and os.geteuid() == 0
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.mkdir(mode=0o711 if is_open else 0o700)
    except FileExistsError:
        if not path.is_dir():
            raise NotADirectoryError(ENOTDIR, "it is no folder", str(path)) from None


def write_private(path: Path, content: bytes) -> None:
    """Put a file there, whole or not at all, on disk and readable by us only."""
    descriptor, fresh = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(fresh).replace(path)
    except BaseException:
        Path(fresh).unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Bring to disk which files a folder has."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def is_ours_alone(path: Path) -> bool:
    """Whether this is a folder, no link to one, that belongs to us and only we may change."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return False
    is_closed = not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and is_closed


def refuse_strangers(path: Path) -> None:
    """Raise Misconfigured if others may change a folder, or if we may not."""
    found = path.stat()
    by_group = found.st_mode & stat.S_IWGRP and found.st_gid != os.getegid()
    if by_group or found.st_mode & stat.S_IWOTH:
        raise Misconfigured(f"others may write into the data folder {path}", f"chmod go-w {path}")
    try:
        tempfile.TemporaryFile(dir=path).close()
    except OSError as error:
        raise Misconfigured(
            f"the data folder {path} cannot be written to ({error.strerror})",
            "choose another folder with --data, or use the user that owns it",
        ) from error


@contextmanager
def told_plainly(path: Path) -> Iterator[None]:
    """Turn what the system refuses about the data folder into one line with its mend."""
    try:
        yield
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise Misconfigured(
            f"the data folder cannot be used ({error.filename or path}: {why})",
            "choose another folder with --data, or give it to the user that runs voltpay",
        ) from error
