"""The SQL scripts of the history, by revision."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SQL: Final = Path(__file__).parent / "sql"
_UP: Final = re.compile(r"^(\d{4})_([a-z0-9_]+)\.up\.sql$")
_SERVES: Final = re.compile(r"\A-- serves: (\d{4})$", re.MULTILINE)


@dataclass(frozen=True)
class Script:
    """One step of the history. `revision` is its four digits, `name` what it makes."""

    revision: str
    name: str

    def sql(self, direction: str) -> str:
        """The statements that go `up` or `down`."""
        path = SQL / f"{self.revision}_{self.name}.{direction}.sql"
        return path.read_text(encoding="utf-8")

    def checksum(self, direction: str) -> str:
        """SHA-256 of those statements, in hexadecimal."""
        return hashlib.sha256(self.sql(direction).encode()).hexdigest()

    def serves(self) -> str:
        """The oldest revision whose code may go on once this is applied: its own, or as its first
        line says, `-- serves: 0008`, where it only adds what that code can pass by.
        """
        said = _SERVES.search(self.sql("up"))
        return said[1] if said else self.revision


def scripts() -> list[Script]:
    """All scripts, oldest first."""
    found = [_UP.match(path.name) for path in SQL.iterdir()]
    return sorted((Script(up[1], up[2]) for up in found if up), key=lambda script: script.revision)


def script_of(revision: str) -> Script:
    """The script of a revision. Raises KeyError."""
    return {script.revision: script for script in scripts()}[revision]
