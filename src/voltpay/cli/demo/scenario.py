"""The scenario: processors that get slow, fail, lie and recover, on a time line of a minute."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Mood:
    """How a processor behaves: its delay in ms, and whether it fails."""

    delay_ms: int = 0
    is_failing: bool = False


@dataclass(frozen=True)
class Act:
    """From `at_s` on (of 60) the processors behave like this."""

    at_s: float
    title: str
    default: Mood
    fallback: Mood


ACTS: Final[Sequence[Act]] = (
    Act(0, "both are well", Mood(), Mood()),
    Act(10, "both get slow", Mood(20), Mood(10)),
    Act(20, "default fails", Mood(20, is_failing=True), Mood(10)),
    Act(
        30,
        "both fail, slowly",
        Mood(2_000, is_failing=True),
        Mood(1_000, is_failing=True),
    ),
    Act(40, "both recover", Mood(), Mood()),
    Act(50, "fallback takes 5 s", Mood(), Mood(5_000)),
)

SHARES: Final = {"decline": 0.01, "reset": 0.006}
"""Planted for the whole of it: declines, and executions whose answer is lost (unknown outcomes)."""
SCENARIO_S: Final = 60.0


def act_at(elapsed_s: float, seconds: float) -> Act:
    """The act that plays after so much of a demo of `seconds`."""
    at_s = elapsed_s * SCENARIO_S / seconds
    return next(act for act in reversed(ACTS) if act.at_s <= at_s)
