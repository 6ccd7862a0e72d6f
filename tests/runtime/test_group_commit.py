"""Group commit: one result a caller, shared round trips, bounds."""

import asyncio

import pytest

from voltpay.foundation.runtime.group_commit import GroupCommit, TooManyWaiting


async def test_callers_of_one_turn_share_one_group_and_each_gets_its_own_result():
    groups = []

    async def commit(items):
        groups.append(list(items))
        return [item * 10 for item in items]

    commits = GroupCommit(commit)
    assert await asyncio.gather(*(commits(n) for n in range(5))) == [0, 10, 20, 30, 40]
    assert groups == [[0, 1, 2, 3, 4]]


async def test_what_comes_during_a_commit_goes_out_as_the_next_group_in_order():
    groups, gate = [], asyncio.Event()

    async def commit(items):
        groups.append(list(items))
        await gate.wait()
        return items

    commits = GroupCommit(commit, group_max=2)
    first = asyncio.ensure_future(commits("a"))
    await asyncio.sleep(0.01)
    later = [asyncio.ensure_future(commits(name)) for name in "bcd"]
    gate.set()
    assert await asyncio.gather(first, *later) == ["a", "b", "c", "d"]
    assert groups == [["a"], ["b", "c"], ["d"]]


async def test_a_failed_group_fails_each_of_its_callers_and_no_later_one():
    async def commit(items):
        if "bad" in items:
            raise ValueError("no")
        return items

    commits = GroupCommit(commit)
    results = await asyncio.gather(commits("bad"), commits("with"), return_exceptions=True)
    assert [type(result) for result in results] == [ValueError, ValueError]
    assert await commits("good") == "good"


async def test_more_waiting_callers_than_the_bound_are_refused_at_once():
    gate = asyncio.Event()

    async def commit(items):
        await gate.wait()
        return items

    commits = GroupCommit(commit, group_max=1, waiting_max=2)
    held = asyncio.ensure_future(commits(0))
    await asyncio.sleep(0.01)
    queued = [asyncio.ensure_future(commits(n)) for n in (1, 2)]
    with pytest.raises(TooManyWaiting):
        commits(3)
    gate.set()
    assert await asyncio.gather(held, *queued) == [0, 1, 2]


async def test_a_caller_that_gives_up_takes_nobody_along():
    async def commit(items):
        await asyncio.sleep(0.01)
        return items

    commits = GroupCommit(commit)
    impatient, patient = asyncio.ensure_future(commits("a")), asyncio.ensure_future(commits("b"))
    await asyncio.sleep(0)
    impatient.cancel()
    assert await patient == "b"


async def test_a_caller_that_calls_again_as_soon_as_it_has_its_result_is_served_again():
    async def commit(items):
        return items

    commits = GroupCommit(commit)
    async with asyncio.timeout(2):
        for n in range(50):
            assert await commits(n) == n
        await commits.drain()


async def test_a_commit_that_forgets_a_result_fails_its_callers_and_leaves_nobody_waiting():
    async def commit(items):
        return items[1:]

    commits = GroupCommit(commit)
    async with asyncio.timeout(2):
        results = await asyncio.gather(commits("a"), commits("b"), return_exceptions=True)
    assert [type(result) for result in results] == [ValueError, ValueError]


async def test_after_a_group_of_many_the_next_one_keeps_its_distance_and_grows_meanwhile():
    groups = []

    async def commit(items):
        groups.append(list(items))
        return items

    commits = GroupCommit(commit, pace_s=0.2, paced_from=2)
    await asyncio.gather(commits(1), commits(2))
    third = asyncio.ensure_future(commits(3))
    await asyncio.sleep(0.05)
    await asyncio.gather(third, commits(4))
    assert groups == [[1, 2], [3, 4]]


async def test_after_a_group_of_few_the_next_one_goes_at_once():
    groups = []

    async def commit(items):
        groups.append(list(items))
        return items

    commits = GroupCommit(commit, pace_s=60, paced_from=2)
    await commits(1)
    await commits(2)
    assert groups == [[1], [2]]
