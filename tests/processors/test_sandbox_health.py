"""How often the sandbox tells its health: one call in a window, two held, the fourth refused."""

from voltpay.processors.sandbox.health import HealthWindow


class Hands:
    """A clock whose hands a test moves."""

    def __init__(self) -> None:
        self.ms = 1_000

    def now_ms(self) -> int:
        return self.ms

    def monotonic_ms(self) -> int:
        return self.ms


def test_the_first_passes_two_wait_for_later_windows_and_the_fourth_is_told_when_to_come() -> None:
    hands = Hands()
    window = HealthWindow(5_000, hands)

    assert [window.take_place() for _ in range(3)] == [(0, 0), (5_000, 0), (10_000, 0)]
    hands.ms += 1_000
    assert window.take_place() == (0, 4_000)
    hands.ms += 3_999
    assert window.take_place() == (0, 1)


def test_a_place_comes_free_with_each_window() -> None:
    hands = Hands()
    window = HealthWindow(5_000, hands)
    for _ in range(3):
        window.take_place()

    hands.ms += 5_000
    assert window.take_place() == (10_000, 0)
    hands.ms += 14_999
    assert window.take_place() == (1, 0)


def test_who_asks_once_a_window_never_waits() -> None:
    hands = Hands()
    window = HealthWindow(5_000, hands)

    for _ in range(5):
        assert window.take_place() == (0, 0)
        hands.ms += 5_000
