"""Dead letters: kept once and sealed, shown without personal data, replayed, discarded."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest
from httpx import ASGITransport, AsyncClient
from litestar import Litestar, Request, Response

from voltpay.core.codec import encode
from voltpay.core.errors import Broken, Unavailable
from voltpay.core.ids import PaymentId
from voltpay.core.messages import (
    Attempt,
    Message,
    PaymentAccepted,
    PaymentDead,
    PaymentSettled,
    Standing,
)
from voltpay.core.payment import Fingerprint, Payment
from voltpay.foundation.engines.opened import Engines
from voltpay.foundation.engines.redis.cache import RedisCache
from voltpay.foundation.engines.redis.intake import RedisIntake
from voltpay.foundation.engines.redis.log import RedisLog
from voltpay.foundation.runtime.http import json_bytes, problem_of
from voltpay.foundation.runtime.sealing import Sealer
from voltpay.foundation.runtime.stages import Taken
from voltpay.foundation.seams.cache import Entry
from voltpay.foundation.seams.log import TopicRow
from voltpay.services.dead import wire
from voltpay.services.dead.replay import LetterDiscarded, LetterReplayed, StillInFlight
from voltpay.services.dead.shelve import ROOM, Shelve

NOW_MS = 1_767_225_600_000
SECRET_TEXT = "alice@example.org"
TOPICS = [
    TopicRow("payment.accepted", ordered=False, groups=("routing",)),
    TopicRow("payment.settled", ordered=True, groups=("ledger",)),
]


@dataclass
class Stand:
    """The service, and the attempts that a test says are open."""

    engines: Engines
    log: RedisLog
    open: set[UUID] = field(default_factory=set)
    dead: wire.Dead = field(init=False)

    async def has_open_attempt(self, payment_id: PaymentId) -> bool:
        """As routing would know."""
        return payment_id in self.open

    async def shelve(self, *letters: PaymentDead) -> None:
        """As the loop does it."""
        stage = self.dead.part.stages["shelve"]
        assert isinstance(stage, Shelve)
        for letter in letters:
            assert await stage(Taken(letter, "payment.dead", 0, 1, NOW_MS)) == []

    async def rows(self) -> list[dict[str, Any]]:
        """What the database has."""
        database = self.engines.primary("rows", size_max=1)
        rows = await database.fetch("select * from dead.letter order by id")
        await database.close()
        return [dict(row) for row in rows]

    async def execute(self, sql: str) -> None:
        """Run a statement."""
        database = self.engines.primary("execute", size_max=1)
        await database.execute(sql)
        await database.close()

    async def taken(self, topic: str) -> list[tuple[int, bytes]]:
        """All that stands on a topic: partition and body."""
        is_ordered = topic == "payment.settled"
        consumer = (
            self.log.ordered(topic, "ledger") if is_ordered else self.log.shared(topic, "routing")
        )
        found = [(one.partition, one.body) for one in await consumer.take(100, 50)]
        await consumer.close()
        return found


@pytest.fixture
async def stand(database_url: str, log_url: str, cache_url: str) -> AsyncIterator[Stand]:
    log = RedisLog(log_url, topics=TOPICS, partitions=4, instance="test")
    await log.prepare()
    intake, cache = RedisIntake(log_url), RedisCache(cache_url)
    engines = Engines(
        log=log,
        admin=log,
        intake=intake,
        cache=cache,
        database_url=database_url,
        replica_urls=[],
        sealer=Sealer(b"s" * 32),
        instance="test",
    )
    made = Stand(engines, log)
    made.dead = wire.build(engines, has_open_attempt=made.has_open_attempt)
    yield made
    await made.dead.part.close()
    for each in (log, intake, cache):
        await each.close()


@pytest.fixture
async def client(stand: Stand) -> AsyncIterator[AsyncClient]:
    app = Litestar(list(stand.dead.part.handlers), exception_handlers={Exception: _problem})
    async with AsyncClient(transport=ASGITransport(app), base_url="http://voltpay") as made:
        yield made


def _problem(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    details, headers = problem_of(error)
    if details.status == 500:
        raise error
    media_type = "application/problem+json"
    return Response(
        json_bytes(details), status_code=details.status, headers=headers, media_type=media_type
    )


def payment(**other: Any) -> Payment:
    made = Payment(
        id=PaymentId(uuid4()),
        amount_minor=1990,
        currency="EUR",
        account_id="alice",
        merchant_id="shop",
        accepted_at_ms=NOW_MS,
        fingerprint=Fingerprint(b"x" * 8),
        details=Sealer(b"s" * 32).seal(SECRET_TEXT.encode(), b"y"),
    )
    return msgspec.structs.replace(made, **other)


def settled(of: Payment) -> PaymentSettled:
    return PaymentSettled(of, Attempt(1, "default", NOW_MS, "cheapest"), True, 100, NOW_MS)


def letter(
    message: Message | None = None, position: int = 1, body: bytes | None = None, **other: Any
) -> PaymentDead:
    """A dead letter of a message, an accepted payment if none is given."""
    message = PaymentAccepted(payment()) if message is None else message
    of = getattr(message, "payment", None)
    made = PaymentDead(
        topic="payment.accepted",
        key="",
        stage="route",
        partition=0,
        position=position,
        body=encode(message) if body is None else body,
        error="Broken: it did not fit",
        failures=3,
        buried_at_ms=NOW_MS,
        payment_id=str(of.id) if of is not None and body is None else "",
    )
    return msgspec.structs.replace(made, **other)


async def test_a_letter_is_kept_once_however_often_it_is_delivered(stand: Stand) -> None:
    one, other = letter(position=1), letter(position=2)
    await stand.shelve(one, other, one)
    assert [row["position"] for row in await stand.rows()] == [1, 2]
    await stand.shelve(msgspec.structs.replace(one, stage="post"))
    assert len(await stand.rows()) == 3


async def test_the_stage_takes_a_few_at_once(stand: Stand) -> None:
    stage = stand.dead.part.stages["shelve"]
    assert isinstance(stage, Shelve)
    assert stage.room() == ROOM


async def test_its_payload_is_sealed(stand: Stand) -> None:
    sent = letter(body=SECRET_TEXT.encode())
    await stand.shelve(sent)
    payload = (await stand.rows())[0]["payload"]
    assert SECRET_TEXT.encode() not in payload
    assert stand.engines.sealer.open(payload, b"dead") == sent.body


async def test_an_older_epoch_is_dropped_and_an_unreadable_body_is_kept(stand: Stand) -> None:
    await stand.execute("update reference.installation set epoch = 1")
    await stand.shelve(letter(), letter(PaymentAccepted(payment(epoch=1)), 2))
    await stand.shelve(letter(body=b"\xc1", position=3))
    assert [(row["position"], row["epoch"]) for row in await stand.rows()] == [(2, 1), (3, 1)]


async def test_an_error_of_any_text_is_kept(stand: Stand) -> None:
    await stand.shelve(letter(error="a\0b", payment_id="no id"))
    row = (await stand.rows())[0]
    assert (row["error"], row["payment_id"]) == ("a\ufffdb", None)


async def test_another_message_is_broken(stand: Stand) -> None:
    stage = stand.dead.part.stages["shelve"]
    assert isinstance(stage, Shelve)
    with pytest.raises(Broken):
        await stage(Taken(PaymentAccepted(payment()), "payment.dead", 0, 1, NOW_MS))


async def test_pages_by_stage_show_each_letter_once_and_newest_first(
    stand: Stand, client: AsyncClient
) -> None:
    await stand.shelve(*(letter(position=number) for number in range(7)))
    await stand.shelve(letter(position=99, stage="post"))
    positions: list[int] = []
    query: dict[str, str | int] = {"stage": "route", "limit": 3}
    while True:
        page = (await client.get("/dead-letters", params=query)).json()
        positions += [item["position"] for item in page["items"]]
        if page["next"] is None:
            break
        query["cursor"] = page["next"]
    assert positions == [6, 5, 4, 3, 2, 1, 0]
    everything = (await client.get("/dead-letters")).json()
    assert [item["position"] for item in everything["items"]] == [99, *positions]
    assert (await client.get("/dead-letters?stage=shelve")).json() == {"items": [], "next": None}


async def test_a_listed_letter_tells_where_it_stood_and_why(
    stand: Stand, client: AsyncClient
) -> None:
    sent = letter()
    await stand.shelve(sent)
    (item,) = (await client.get("/dead-letters")).json()["items"]
    assert item == {
        "id": item["id"],
        "state": "buried",
        "stage": "route",
        "topic": "payment.accepted",
        "partition": 0,
        "position": 1,
        "error": "Broken: it did not fit",
        "failures": 3,
        "replays": 0,
        "buriedAt": "2026-01-01T00:00:00Z",
        "paymentId": sent.payment_id,
    }


async def test_a_shown_letter_has_its_message_without_personal_data(
    stand: Stand, client: AsyncClient
) -> None:
    made = payment()
    await stand.shelve(letter(settled(made)))
    answer = await client.get("/dead-letters/1")
    message = answer.json()["message"]
    assert message == {
        "kind": "settled",
        "payment": {
            "correlationId": str(made.id),
            "amount": 19.90,
            "currency": "EUR",
            "accountId": "alice",
            "merchantId": "shop",
            "acceptedAt": "2026-01-01T00:00:00Z",
            "epoch": 0,
        },
        "processor": "default",
        "attempt": 1,
        "executed": True,
        "declined": "",
        "requestedAt": "2026-01-01T00:00:00Z",
        "settledAt": "2026-01-01T00:00:00Z",
    }
    assert SECRET_TEXT not in answer.text


async def test_an_unreadable_letter_is_shown_but_not_replayed(
    stand: Stand, client: AsyncClient
) -> None:
    await stand.shelve(letter(body=b"\xc1"))
    shown = (await client.get("/dead-letters/1")).json()
    assert shown["message"] is None
    assert "paymentId" not in shown["letter"]
    answer = await client.post("/dead-letters/1/replay")
    assert answer.status_code == 409
    assert answer.json()["type"].endswith("dead-letter-unreadable")
    assert (await stand.rows())[0]["state"] == "buried"


async def test_replay_appends_the_very_record_again(stand: Stand, client: AsyncClient) -> None:
    sent = letter()
    await stand.shelve(sent)
    answer = await client.post("/dead-letters/1/replay")
    assert answer.status_code == 200
    assert (answer.json()["state"], answer.json()["replays"]) == ("replayed", 1)
    assert [body for _, body in await stand.taken("payment.accepted")] == [sent.body]


async def test_replay_keeps_the_key_and_so_the_partition(stand: Stand) -> None:
    for number in range(1, 4):
        dead = letter(
            settled(payment()), number, topic="payment.settled", key="alice", stage="post"
        )
        await stand.shelve(dead)
        await stand.dead.desk.replay(number)
    taken = await stand.taken("payment.settled")
    assert len(taken) == 3
    assert len({partition for partition, _ in taken}) == 1


async def test_a_second_replay_appends_again_and_counts(stand: Stand) -> None:
    await stand.shelve(letter())
    for replays in (1, 2):
        assert (await stand.dead.desk.replay(1)).replays == replays
    assert len(await stand.taken("payment.accepted")) == 2


async def test_a_log_that_is_away_leaves_the_letter_buried(
    stand: Stand, client: AsyncClient
) -> None:
    class Away(RedisLog):
        async def append(self, records: object) -> None:
            raise Unavailable("away")

    await stand.shelve(letter())
    stand.dead.desk._log = Away("redis://127.0.0.1:1", topics=[], partitions=1, instance="x")
    answer = await client.post("/dead-letters/1/replay")
    assert answer.status_code == 503
    assert (await stand.rows())[0]["state"] == "buried"


async def test_a_replayed_payment_is_not_shown_as_dead_by_the_cache(stand: Stand) -> None:
    sent = letter()
    await stand.shelve(sent)
    key, cache = f"status:{sent.payment_id}", stand.engines.cache
    await cache.put_if_newer([Entry(key, Standing.RANK_DEAD, b"dead", 60_000)])
    await stand.dead.desk.replay(1)
    assert await cache.get([key]) == [None]
    settled_ = Entry(key, Standing.RANK_SETTLED, b"done", 60_000)
    assert list(await cache.put_if_newer([settled_])) == [True]
    await stand.dead.desk.replay(1)
    assert await cache.get([key]) == [(Standing.RANK_SETTLED, b"done")]


async def test_discard_keeps_the_reason_and_forbids_replay(
    stand: Stand, client: AsyncClient
) -> None:
    await stand.shelve(letter())
    answer = await client.post("/dead-letters/1/discard", json={"reason": "a test payment"})
    assert answer.status_code == 200
    assert (answer.json()["state"], answer.json()["reason"]) == ("discarded", "a test payment")
    again = await client.post("/dead-letters/1/discard", json={"reason": "other"})
    assert again.json() == answer.json()
    refused = await client.post("/dead-letters/1/replay")
    assert refused.status_code == 409
    assert refused.json()["type"].endswith("dead-letter-discarded")
    assert await stand.taken("payment.accepted") == []
    with pytest.raises(LetterDiscarded):
        await stand.dead.desk.replay(1)


async def test_a_page_of_another_site_cannot_discard(stand: Stand, client: AsyncClient) -> None:
    """What a browser sends anywhere without asking is no JSON by its type."""
    await stand.shelve(letter())
    plain = {"content-type": "text/plain"}
    body = b'{"reason": "not yours"}'
    answer = await client.post("/dead-letters/1/discard", content=body, headers=plain)
    assert answer.status_code == 415
    assert (await client.get("/dead-letters")).json()["items"][0]["state"] == "buried"


async def test_a_replayed_letter_is_not_discarded(stand: Stand, client: AsyncClient) -> None:
    await stand.shelve(letter())
    await client.post("/dead-letters/1/replay")
    answer = await client.post("/dead-letters/1/discard", json={"reason": "late"})
    assert answer.status_code == 409
    with pytest.raises(LetterReplayed):
        await stand.dead.desk.discard(1, "late")


async def test_discard_is_refused_while_an_attempt_is_open(
    stand: Stand, client: AsyncClient
) -> None:
    sent = letter()
    await stand.shelve(sent)
    stand.open.add(UUID(sent.payment_id))
    answer = await client.post("/dead-letters/1/discard", json={"reason": "now"})
    assert answer.status_code == 409
    assert answer.json()["type"].endswith("still-in-flight")
    with pytest.raises(StillInFlight):
        await stand.dead.desk.discard(1, "now")
    stand.open.clear()
    assert (await stand.dead.desk.discard(1, "now")).state == "discarded"


async def test_a_payment_knows_its_letters(stand: Stand) -> None:
    message = PaymentAccepted(payment())
    await stand.shelve(letter(message, 1), letter(message, 2), letter(position=3))
    found = await stand.dead.dead_of(message.payment.id)
    assert [one.position for one in found] == [2, 1]
    assert await stand.dead.dead_of(uuid4()) == []


async def test_a_purge_drops_all(stand: Stand) -> None:
    await stand.shelve(letter())
    database = stand.engines.primary("purge")
    async with database.transaction() as session:
        await stand.dead.purge(session)
    await database.close()
    assert await stand.rows() == []


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "fields"),
    [
        ("GET", "/dead-letters?limit=0", None, 400, ["limit"]),
        ("GET", "/dead-letters?limit=x", None, 400, ["limit"]),
        ("GET", "/dead-letters?cursor=abc", None, 400, ["cursor"]),
        ("GET", "/dead-letters?cursor=____________", None, 400, ["cursor"]),
        ("GET", "/dead-letters?stage=%00", None, 400, ["stage"]),
        ("GET", "/dead-letters?state=buried", None, 400, ["state"]),
        ("GET", "/dead-letters/1?x=1", None, 400, ["x"]),
        ("GET", "/dead-letters/7", None, 404, None),
        ("GET", "/dead-letters/abc", None, 404, None),
        ("GET", "/dead-letters/99999999999999999999999", None, 404, None),
        ("POST", "/dead-letters/7/replay", None, 404, None),
        ("POST", "/dead-letters/7/discard", {"reason": "x"}, 404, None),
        ("POST", "/dead-letters/1/discard", {}, 400, None),
        ("POST", "/dead-letters/1/discard", {"reason": ""}, 400, ["reason"]),
        ("POST", "/dead-letters/1/discard", {"reason": "a\0"}, 400, ["reason"]),
        ("POST", "/dead-letters/1/discard", {"reason": "x" * 501}, 400, ["reason"]),
        ("POST", "/dead-letters/1/discard", {"reason": 5}, 400, ["reason"]),
        ("POST", "/dead-letters/1/discard", {"reason": "x", "more": 1}, 400, None),
        ("POST", "/dead-letters/1/discard", [], 400, None),
    ],
)
async def test_what_is_malformed_or_unknown_is_refused(
    stand: Stand,
    client: AsyncClient,
    method: str,
    path: str,
    body: object,
    status: int,
    fields: list[str] | None,
) -> None:
    await stand.shelve(letter())
    content = None if body is None else json.dumps(body)
    answer = await client.request(
        method, path, content=content, headers={"content-type": "application/json"}
    )
    assert answer.status_code == status, answer.text
    if fields is not None:
        assert answer.json()["fields"] == fields
    assert [row["state"] for row in await stand.rows()] == ["buried"]


async def test_no_body_and_no_json_are_refused(stand: Stand, client: AsyncClient) -> None:
    await stand.shelve(letter())
    for content in (b"", b"{", b"\xff"):
        answer = await client.post("/dead-letters/1/discard", content=content)
        assert answer.status_code == 400, answer.text


async def test_the_schema_documents_every_answer(stand: Stand) -> None:
    app = Litestar(list(stand.dead.part.handlers))
    paths = app.openapi_schema.to_schema()["paths"]
    found = {
        (path, method): set(operation["responses"])
        for path, item in paths.items()
        for method, operation in item.items()
    }
    assert found == {
        ("/dead-letters", "get"): {"200", "400", "503"},
        ("/dead-letters/{letter_id}", "get"): {"200", "400", "404", "503"},
        ("/dead-letters/{letter_id}/replay", "post"): {"200", "400", "404", "409", "503"},
        ("/dead-letters/{letter_id}/discard", "post"): {"200", "400", "404", "409", "415", "503"},
    }
