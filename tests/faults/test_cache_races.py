"""Slow fills race updates: nobody gets a balance that is older than one that was read before."""

import asyncio
import random
import threading
from datetime import timedelta

import msgspec
from pyreqwest.client import ClientBuilder

UPDATES = 1_000
READERS = 12
PAYERS = 4


class Watch:
    """Readers of one account's balance, through the cache and past it, for as long as they may."""

    def __init__(self, url):
        self.newest = 0
        self.reads = 0
        self.older = []
        self.is_over = False
        self._url = url

    async def run(self):
        """All of them."""
        async with ClientBuilder().timeout(timedelta(seconds=15)).build() as client:
            await asyncio.gather(*(self._read_on(client, number) for number in range(READERS)))

    async def _read_on(self, client, number):
        chance = random.Random(number)
        while not self.is_over:
            known = self.newest
            request = client.get(self._url)
            if chance.random() < 0.2:
                request = request.header("cache-control", "no-cache")
            answer = await request.build().send()
            body = bytes(await answer.bytes())
            if answer.status == 200:
                self._note(known, msgspec.json.decode(body)["balances"][0]["version"])

    def _note(self, known, version):
        self.reads += 1
        if version < known:
            self.older.append((version, known))
        self.newest = max(self.newest, version)


def test_no_balance_is_older_than_one_that_was_read_before(stack):
    stack.until_status(stack.pay(1, accountId="hot"), "completed")
    watch = Watch(f"{stack.url}/accounts/hot/balance")
    reading = threading.Thread(target=lambda: asyncio.run(watch.run()))
    reading.start()
    try:
        payers = [threading.Thread(target=pay_on, args=(stack,)) for _ in range(PAYERS)]
        for payer in payers:
            payer.start()
        for payer in payers:
            payer.join()
        stack.until(lambda: watch.newest == UPDATES + 1, timeout_s=60)
    finally:
        watch.is_over = True
        reading.join()
    assert watch.reads > UPDATES
    assert watch.older == []


def pay_on(stack):
    """This payer's share of the updates, one after the other."""
    for _ in range(UPDATES // PAYERS):
        stack.pay(1, accountId="hot")
