"""Room, pure: who may hold how many of the places."""

import pytest

from voltpay.foundation.runtime.room import Room


def a_room(capacity: int, *, low_due: bool = False, high_idle: bool = False) -> Room:
    """A room whose urgent topic has more to do than room, unless it is idle."""
    room = Room(lambda: capacity, take_min=10, take_max=20)
    room.is_low_due = low_due
    if not high_idle:
        room.reserve_high(1)
        room.took_high(1, 1)
        room.leave_high()
    return room


def test_a_worker_asks_for_a_handful_and_waits_while_less_than_half_of_one_fits():
    room = a_room(40)
    room.reserve_high(10)
    assert room.for_high() == 20
    room.reserve_high(18)
    assert room.for_high() == 12
    room.reserve_high(3)
    assert room.for_high() == 0
    room.leave_high()
    assert room.for_high() == 10


def test_a_large_room_is_filled_in_few_takes():
    room = Room(lambda: 100, take_min=10, take_max=200)
    room.reserve_high(76)
    assert room.for_high() == 0
    room.leave_high()
    assert room.for_high() == 25


def test_what_was_asked_for_and_not_got_is_free_again():
    room = a_room(100)
    room.reserve_high(20)
    room.took_high(20, 3)
    assert room.held == 3


@pytest.mark.parametrize("capacity", [2, 4, 8, 10, 11, 40, 200])
def test_a_tenth_is_kept_for_what_is_due_and_the_urgent_topic_never_starves(capacity):
    room = a_room(capacity, low_due=True)
    share = max(1, capacity // 10)
    held = 0
    while asked := room.for_high():
        held += asked
        room.reserve_high(asked)
    assert 0 < held <= capacity - share
    assert room.for_low() == share


def test_under_load_the_low_priority_topic_gets_no_more_than_its_share_however_much_is_free():
    room = a_room(40, low_due=True)
    for _ in range(4):
        assert room.for_low() > 0
        room.enter_low()
    assert room.for_low() == 0
    room.leave_low()
    assert room.for_low() == 1


def test_what_the_low_priority_topic_holds_counts_as_its_share():
    room = a_room(40, low_due=True)
    for _ in range(4):
        room.enter_low()
    room.reserve_high(20)
    assert room.for_high() == 16


def test_an_idle_urgent_topic_leaves_all_but_one_place_a_worker():
    room = a_room(40, low_due=True, high_idle=True)
    for _ in range(4):
        assert room.for_high() == 1
        room.reserve_high(1)
    assert room.for_low() == 36


def test_an_idle_urgent_topic_that_gets_work_is_idle_no_longer():
    room = a_room(40, low_due=True, high_idle=True)
    room.reserve_high(1)
    room.took_high(1, 1)
    assert room.for_high() == 20
    assert room.for_low() == 4


def test_the_only_place_is_not_kept_from_the_urgent_topic():
    assert a_room(1, low_due=True).for_high() == 1


@pytest.mark.parametrize("capacity", [0, -3])
def test_where_there_is_no_room_nobody_gets_any(capacity):
    for high_idle in (True, False):
        room = a_room(capacity, low_due=True, high_idle=high_idle)
        assert (room.for_high(), room.for_low()) == (0, 0)


def test_an_idle_worker_leaves_the_last_place_to_what_is_due():
    room = Room(lambda: 1, take_min=10, take_max=20)
    room.is_low_due = True
    assert room.for_high() == 0
    assert room.for_low() == 1
