"""Where the groups of an installation are on its log, and all of them set back."""

import asyncio

from voltpay.app.engines import open_engines
from voltpay.app.settings import Settings
from voltpay.app.topology import STAGES


def waiting_in(settings: Settings) -> int:
    """How many records wait for any group."""
    return asyncio.run(_of_every_lane(settings, is_set_back=False))


def set_all_back(settings: Settings) -> int:
    """Set them to the oldest record that is kept; how many records there are to read again."""
    return asyncio.run(_of_every_lane(settings, is_set_back=True))


async def _of_every_lane(settings: Settings, *, is_set_back: bool) -> int:
    opened = open_engines(settings, "test")
    waiting = 0
    try:
        for stage in STAGES:
            for topic in stage.reads:
                lane = getattr(settings.topics, topic), stage.group
                if is_set_back:
                    await opened.log.reset(*lane)
                waiting += await opened.log.backlog(*lane)
    finally:
        await opened.close()
    return waiting
