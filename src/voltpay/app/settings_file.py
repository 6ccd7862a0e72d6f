"""The files of settings: TOML, in the working folder or where --config says, and the profiles.

A file may hold `[profiles.NAME]`: what stands there goes before the rest of the file when that
profile is chosen.
"""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from voltpay.core.errors import Misconfigured

FILE: Final = Path("voltpay.toml")
PROFILE_VARIABLE: Final = "VOLTPAY_PROFILE"
PROFILE_DEFAULT: Final = "local"
_PROFILES: Final = "profiles"
_BUILT_IN: Final = Path(__file__).with_name("profiles.toml")


@dataclass(frozen=True)
class Layer:
    """Settings from one place; a later layer goes before an earlier one."""

    where: str
    values: Mapping[str, Any]


def layers(file: Path | None) -> list[Layer]:
    """What the profile and the file set. Raises Misconfigured."""
    built_in = tomllib.loads(_BUILT_IN.read_text(encoding="utf-8"))
    path = file or FILE
    values = _file_values(file)
    of_profiles = values.pop(_PROFILES, {})
    if not isinstance(of_profiles, dict):
        raise Misconfigured(f"{_PROFILES} in {path} is no table", "write [profiles.NAME]")
    for name in of_profiles:
        _refuse_unknown(str(name), built_in, f"[profiles.{name}] in {path}")
    chosen = os.environ.get(PROFILE_VARIABLE) or str(values.get("profile", PROFILE_DEFAULT))
    _refuse_unknown(chosen, built_in, f"the profile {chosen}")
    return [
        Layer(f"profile {chosen}", {"profile": chosen, **built_in[chosen]}),
        Layer(str(path), values),
        Layer(f"{path} [profiles.{chosen}]", of_profiles.get(chosen, {})),
    ]


def merged(found: list[Layer]) -> dict[str, Any]:
    """All layers as one, tables into tables."""
    whole: dict[str, Any] = {}
    for layer in found:
        _merge(whole, layer.values)
    return whole


def _merge(into: dict[str, Any], values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        held = into.get(name)
        if isinstance(value, dict):
            into[name] = dict(held) if isinstance(held, dict) else {}
            _merge(into[name], value)
        else:
            into[name] = value


def _refuse_unknown(name: str, known: Mapping[str, object], what: str) -> None:
    if name not in known:
        raise Misconfigured(f"{what} is none that there is", f"choose of {', '.join(known)}")


def _file_values(file: Path | None) -> dict[str, Any]:
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
