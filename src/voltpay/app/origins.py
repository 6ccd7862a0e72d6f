"""Where each setting in force came from: the environment, a file, a profile or the default."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, Final

from voltpay.app.settings_file import Layer

_NESTED: Final = "__"


def origin_of(path: Sequence[str], prefix: str, layers: Sequence[Layer]) -> str:
    """The place that decided a setting; `path` are its names from the outermost table inwards."""
    for length in range(len(path), 0, -1):
        variable = prefix + _NESTED.join(path[:length]).upper()
        if variable in os.environ:
            return f"environment {variable}"
    for layer in reversed(layers):
        if _has(layer.values, path):
            return layer.where
    return "default"


def _has(values: Mapping[str, Any], path: Sequence[str]) -> bool:
    held: Any = values
    for name in path:
        if not isinstance(held, Mapping) or name not in held:
            return False
        held = held[name]
    return True
