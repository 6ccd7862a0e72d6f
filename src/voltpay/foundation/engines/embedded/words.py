"""The line in which a program says why it failed."""

import re
from typing import Final

_REASON: Final = re.compile(r"\b(PANIC|FATAL|ERROR|error|Fatal|Bad|Can't|cannot|Failed)\b")


def reason_in(output: str) -> str:
    """The first line that sounds like a reason, else the last one."""
    lines = [line.strip() for line in output.strip().splitlines()]
    if not lines:
        return "without a word"
    return next((line for line in lines if _REASON.search(line)), lines[-1])
