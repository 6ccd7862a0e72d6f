"""A release after this one: a copy of the code with a script more, and what else tests change."""

import shutil
from pathlib import Path

import voltpay
from voltpay.migrations import scripts

LAST = scripts.scripts()[-1].revision
REVISION = f"{int(LAST) + 1:04}"
VERSION = "99.0"
_STEP = f'''"""What comes next."""

from voltpay.migrations.steps import step

revision = "{REVISION}"
down_revision = "{LAST}"
upgrade, downgrade = step(revision)
'''


def made(folder: Path, up: str, down: str) -> Path:
    """Make it in a folder, unless it is there; the folder goes onto PYTHONPATH."""
    if folder.exists():
        return folder
    code = folder / "voltpay"
    shutil.copytree(
        Path(voltpay.__file__).parent, code, ignore=shutil.ignore_patterns("__pycache__")
    )
    migrations = code / "migrations"
    (migrations / "sql" / f"{REVISION}_next.up.sql").write_text(up)
    (migrations / "sql" / f"{REVISION}_next.down.sql").write_text(down)
    (migrations / "versions" / f"r{REVISION}_next.py").write_text(_STEP)
    change(code / "__init__.py", voltpay.__version__, VERSION)
    return folder


def change(file: Path, old: str, new: str) -> None:
    """Change a place of its code, which must be there once."""
    text = file.read_text()
    assert text.count(old) == 1, (file, old)
    file.write_text(text.replace(old, new))
