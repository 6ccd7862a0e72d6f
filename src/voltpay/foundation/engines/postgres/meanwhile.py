"""Work that is done while a server is busy with what it was asked."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

Answer = TypeVar("Answer")
Done = TypeVar("Done")


async def meanwhile(asked: Awaitable[Answer], work: Callable[[], Done]) -> tuple[Answer, Done]:
    """The answer, and what the work gave that was done while the server made the answer.

    Returns, or raises what either raised, only once the answer is there: until then nobody else
    may use the connection.
    """
    answering = asyncio.ensure_future(asked)
    try:
        # A statement goes to the socket in the first turn of the loop, and out at its end.
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        done = work()
    finally:
        answer = await answering
    return answer, done
