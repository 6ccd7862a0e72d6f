"""Freshness: how soon after its 202 a payment is completed, posted, and seen by whoever asks.

Beside a steady load, probes pay on accounts of their own and ask until they see it. A summary holds
it from the same moment; how long one takes that waits for all that has settled is measured, too.
What the payment itself says of its times tells when it was completed and posted.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from time import perf_counter
from typing import Final
from uuid import UUID, uuid4

import msgspec
from msgspec import Struct
from pyreqwest.client import Client, ClientBuilder

from voltpay.cli.bench.crowd import opened
from voltpay.cli.bench.moments import steady
from voltpay.cli.bench.requests import payments
from voltpay.core.errors import Broken

_PER_S: Final = 1_000
_PROBE_EVERY_S: Final = 0.05
_ASK_EVERY_S: Final = 0.004
_LATEST_S: Final = 10.0
_MS: Final = 1_000


class NeverSeen(Broken):
    """A payment that was accepted did not show."""


class _Told(Struct, rename="camel"):
    accepted_at: datetime
    settled_at: datetime
    posted_at: datetime


async def freshness(url: str, seconds: float) -> Mapping[str, float]:
    """The 99th percentiles in ms, by what is waited for, at a thousand payments a second."""
    load = asyncio.create_task(opened(url, payments(url), steady(_PER_S, seconds)))
    took: dict[str, list[float]] = {"balance": [], "summary": []}
    ids: list[UUID] = []
    async with ClientBuilder().no_proxy().build() as client:
        probes: list[asyncio.Task[None]] = []
        while not load.done():
            probes.append(asyncio.create_task(_probe(client, url, took, ids)))
            await asyncio.sleep(_PROBE_EVERY_S)
        await asyncio.gather(load, *probes)
        told = [await _told(client, url, each) for each in ids]
    took["completed"] = [_ms(each.accepted_at, each.settled_at) for each in told]
    took["posted"] = [_ms(each.accepted_at, each.posted_at) for each in told]
    return {name: _p99(values) for name, values in took.items()}


async def _probe(
    client: Client, url: str, took: Mapping[str, list[float]], ids: list[UUID]
) -> None:
    payment_id = uuid4()
    body = f'{{"correlationId":"{payment_id}","amount":1,"accountId":"probe-{payment_id}"}}'
    request = client.post(f"{url}/payments").body_text(body)
    paid = await request.header("content-type", "application/json").build().send()
    if paid.status != 202:
        raise NeverSeen(f"a probe was answered {paid.status}")
    ids.append(payment_id)
    since = perf_counter()
    while (
        await client.get(f"{url}/accounts/probe-{payment_id}/balance").build().send()
    ).status != 200:
        if perf_counter() - since > _LATEST_S:
            raise NeverSeen(f"payment {payment_id} does not show in its account")
        await asyncio.sleep(_ASK_EVERY_S)
    took["balance"].append(_MS * (perf_counter() - since))
    since = perf_counter()
    # It waits for a while until all that has settled is in it, and says whether that came.
    while (await client.get(f"{url}/payments-summary").build().send()).get_header(
        "voltpay-complete"
    ) != "true":
        if perf_counter() - since > _LATEST_S:
            raise NeverSeen("a summary was never complete")
    took["summary"].append(_MS * (perf_counter() - since))


async def _told(client: Client, url: str, payment_id: UUID) -> _Told:
    end = perf_counter() + _LATEST_S
    while perf_counter() < end:
        answer = await client.get(f"{url}/payments/{payment_id}").build().send()
        body = bytes(await answer.bytes())
        if b'"postedAt"' in body:
            return msgspec.json.decode(body, type=_Told)
        await asyncio.sleep(_ASK_EVERY_S)
    raise NeverSeen(f"payment {payment_id} was never posted")


def _ms(since: datetime, until: datetime) -> float:
    return _MS * (until - since).total_seconds()


def _p99(values: Sequence[float]) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))]
