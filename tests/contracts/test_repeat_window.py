"""How long settled claims stand: the whole window, and less while many settle."""

from voltpay.foundation.engines.repeat_window import RepeatWindow


class Hand:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.s = 0.0

    def __call__(self) -> float:
        return self.s


def windows(window: RepeatWindow, clock: Hand, per_s: int, seconds: int) -> list[int]:
    """What `per_s` that settle a second are given, in ten parts a second."""
    given = []
    for _ in range(seconds * 10):
        clock.s += 0.1
        given.append(window.seconds_for(per_s // 10))
    return given


def test_where_few_settle_claims_stand_for_the_whole_window() -> None:
    clock = Hand()
    window = RepeatWindow(3_600, 100_000, clock)
    assert set(windows(window, clock, 20, 60)) == {3_600}


def test_where_many_settle_about_as_many_as_allowed_stand() -> None:
    clock = Hand()
    window = RepeatWindow(86_400, 100_000, clock)
    given = windows(window, clock, 1_000, 120)
    assert 95 <= given[-1] <= 105
    assert max(given[300:]) <= 110


def test_never_less_than_a_minute_or_the_window_itself() -> None:
    clock = Hand()
    assert min(windows(RepeatWindow(86_400, 10, clock), clock, 1_000, 30)) == 60
    assert min(windows(RepeatWindow(5, 10, clock), clock, 1_000, 30)) == 5


def test_after_a_rush_the_window_is_whole_again() -> None:
    clock = Hand()
    window = RepeatWindow(3_600, 100_000, clock)
    windows(window, clock, 5_000, 60)
    clock.s += 120
    assert window.seconds_for(10) == 3_600
