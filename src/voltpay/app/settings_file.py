"""The file of settings: TOML, in the working folder or where --config says."""

import tomllib
from pathlib import Path
from typing import Any, Final

from voltpay.core.errors import Misconfigured

FILE: Final = Path("voltpay.toml")


def file_values(file: Path | None) -> dict[str, Any]:
    """What it sets; nothing where there is none and none was named. Raises Misconfigured."""
    path = file or FILE
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        if file is None:
            return {}
        raise Misconfigured(f"there is no file {path}", "give another --config") from error
    except OSError as error:
        raise Misconfigured(
            f"{path} cannot be read: {error.strerror}", "name a readable TOML file with --config"
        ) from error
    except ValueError as error:
        raise Misconfigured(f"{path} cannot be read: {error}", "mend it as TOML") from error
