"""Readers: ask where payments are while all goes on, and note whoever was told less than before."""

import asyncio
import random
from datetime import timedelta

import msgspec
from pyreqwest.client import ClientBuilder
from pyreqwest.exceptions import PyreqwestError

RANKS = {"queued": 1, "processing": 2, "completed": 3, "failed": 3}
PAUSE_S = 0.02
SHARE_AT_THE_SOURCE = 0.3


class Readers:
    """Asks for payments that were promised, through the cache and past it.

    `wrong` are those whose state went backwards or that were said to be unknown after a 202.
    """

    def __init__(self, url, load, seed):
        self.wrong = []
        self.answers = 0
        self._url = url
        self._load = load
        self._chance = random.Random(seed)
        self._seen = {}
        self._is_over = False

    def end(self):
        """Ask no more."""
        self._is_over = True

    async def run(self):
        """Go on until the end is called."""
        async with ClientBuilder().timeout(timedelta(seconds=10)).build() as client:
            while not self._is_over:
                promised = list(self._load.promised_lately)
                if promised:
                    await self._ask(client, self._chance.choice(promised))
                await asyncio.sleep(PAUSE_S)

    async def _ask(self, client, payment_id):
        url = f"{self._url}/payments/{payment_id}/status"
        request = client.get(url)
        if self._chance.random() < SHARE_AT_THE_SOURCE:
            request = request.header("cache-control", "no-cache")
        try:
            answer = await request.build().send()
            body = bytes(await answer.bytes())
        except PyreqwestError:
            return
        if answer.status == 404:
            self.wrong.append((payment_id, "404 after a 202"))
        elif answer.status == 200:
            self._note(payment_id, msgspec.json.decode(body)["status"])

    def _note(self, payment_id, status):
        self.answers += 1
        before = self._seen.get(payment_id, "queued")
        is_other_end = RANKS[status] == RANKS[before] == 3 and status != before
        if RANKS[status] < RANKS[before] or is_other_end:
            self.wrong.append((payment_id, f"{status} after {before}"))
        self._seen[payment_id] = status
