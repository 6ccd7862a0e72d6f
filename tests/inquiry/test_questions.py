"""Where a payment is: the highest rank of all that know; 503 when one that could is away."""

import asyncio
import json

import pytest
from httpx import ASGITransport, AsyncClient
from tests.inquiry.stand import NOW_MS, Stand, id_of, opened, payment, posted, stand_on

from voltpay.core.errors import Unavailable
from voltpay.core.ids import PaymentId
from voltpay.core.messages import QUEUED, PaymentAccepted, Standing, processing
from voltpay.core.payment import Payment, Status
from voltpay.foundation.seams.intake import Claim
from voltpay.foundation.seams.log import Record
from voltpay.services.inquiry.known import AttemptView, Charges, ConflictView, DeadView, Known

AWAY = Unavailable("away")
DEAD = Standing(Status.FAILED, "dead", Standing.RANK_DEAD)
SETTLED = Standing(Status.COMPLETED, "executed", Standing.RANK_SETTLED)


def attempt(state: str, number: int = 1) -> AttemptView:
    return AttemptView(number, "default", NOW_MS, state, {"reason": "cheapest"})


def letter(state: str) -> DeadView:
    return DeadView(1, "route", state, NOW_MS)


async def claim(stand: Stand, made: Payment) -> None:
    """As ingest does it."""
    record = Record("payment.accepted", "", PaymentAccepted(made), b"x")
    await stand.engines.intake.accept([Claim(made.id, made.fingerprint, NOW_MS, record)], 0)


def standing_of(**known: object) -> Standing | None:
    return Known(PaymentId(payment().id), **known).standing  # type: ignore[arg-type]


def test_nothing_known_is_no_standing() -> None:
    assert standing_of() is None
    assert standing_of(charges=Charges(), letters=[letter("replayed")]) is None


@pytest.mark.parametrize(
    ("states", "status", "detail"),
    [
        (["sending"], Status.PROCESSING, "charging"),
        (["unknown"], Status.PROCESSING, "unknown"),
        (["parked"], Status.PROCESSING, "unknown"),
        (["absent"], Status.PROCESSING, "deferred"),
        (["absent", "executed"], Status.COMPLETED, "executed"),
        (["declined"], Status.FAILED, "declined"),
    ],
)
def test_attempts_tell_where_a_payment_is(states: list[str], status: Status, detail: str) -> None:
    attempts = [attempt(state, number) for number, state in enumerate(states, 1)]
    found = standing_of(charges=Charges(attempts=attempts), claimed_at_ms=1)
    assert found is not None
    assert (found.status, found.detail) == (status, detail)


def test_a_dead_letter_ends_a_payment_but_not_while_an_attempt_is_open() -> None:
    dead = [letter("buried")]
    assert standing_of(letters=dead, claimed_at_ms=1) == DEAD
    assert standing_of(letters=[letter("discarded")]) == DEAD
    open_ = Charges(attempts=[attempt("unknown")])
    assert standing_of(letters=dead, charges=open_, cached=DEAD) == processing("unknown")


def test_what_was_posted_outranks_everything() -> None:
    from voltpay.services.inquiry.rows import row_of

    declined = row_of(posted(executed=False))
    found = standing_of(row=declined, letters=[letter("buried")], cached=processing("deferred"))
    assert found == Standing(Status.FAILED, "declined", Standing.RANK_POSTED)


async def test_no_store_knows_it_is_404(stand: Stand, client: AsyncClient) -> None:
    for path in ("", "/status"):
        answer = await client.get(f"/payments/{payment().id}{path}")
        assert answer.status_code == 404
        assert answer.json()["type"] == "urn:voltpay:problem:payment-unknown"


@pytest.mark.parametrize("link", ["attempts", "letters"])
async def test_a_store_that_is_away_makes_it_503_not_404(
    stand: Stand, client: AsyncClient, link: str
) -> None:
    stand.away[link] = AWAY
    for path in ("", "/status"):
        answer = await client.get(f"/payments/{payment().id}{path}")
        assert answer.status_code == 503
        assert "retry-after" in answer.headers


async def test_a_claim_alone_is_queued(stand: Stand, client: AsyncClient) -> None:
    made = payment()
    await claim(stand, made)
    answer = await client.get(f"/payments/{made.id}/status")
    assert answer.json() == {
        "correlationId": str(made.id),
        "status": "queued",
        "detail": "accepted",
    }
    whole = (await client.get(f"/payments/{made.id}")).json()
    assert whole["status"] == "queued"
    assert whole["acceptedAt"].startswith("2026-01-01T00:00:00")
    assert "amount" not in whole


async def test_queued_is_not_told_while_attempts_are_away(
    stand: Stand, client: AsyncClient
) -> None:
    made = payment()
    await claim(stand, made)
    stand.away["attempts"] = AWAY
    assert (await client.get(f"/payments/{made.id}/status")).status_code == 503


async def test_the_cache_alone_tells_how_a_charge_ended(stand: Stand, client: AsyncClient) -> None:
    made = payment()
    stand.away |= {"attempts": AWAY, "letters": AWAY}
    await stand.note(made.id, SETTLED)
    answer = await client.get(f"/payments/{made.id}/status")
    assert answer.status_code == 200
    assert answer.json()["status"] == "completed"
    other = payment()
    await stand.note(other.id, processing("charging"))
    assert (await client.get(f"/payments/{other.id}/status")).status_code == 503


async def test_a_cached_death_is_asked_after(stand: Stand, client: AsyncClient) -> None:
    made = payment()
    await stand.note(made.id, DEAD)
    stand.charges[made.id] = Charges(attempts=[attempt("unknown")])
    answer = (await client.get(f"/payments/{made.id}/status")).json()
    assert (answer["status"], answer["detail"]) == ("processing", "unknown")
    stand.charges.clear()
    assert (await client.get(f"/payments/{made.id}/status")).json()["detail"] == "dead"


async def test_the_highest_rank_wins_over_an_old_cache(stand: Stand, client: AsyncClient) -> None:
    fact = posted()
    await stand.note(id_of(fact), QUEUED)
    await stand.have(fact)
    answer = (await client.get(f"/payments/{id_of(fact)}/status")).json()
    assert answer["status"] == "completed"


async def test_a_posted_payment_is_told_although_others_are_away(
    stand: Stand, client: AsyncClient
) -> None:
    fact = posted()
    await stand.have(fact)
    stand.away |= {"attempts": AWAY, "letters": AWAY}
    for path in ("", "/status"):
        answer = await client.get(f"/payments/{id_of(fact)}{path}")
        assert answer.status_code == 200
        assert answer.json()["status"] == "completed"


async def test_the_whole_view_of_a_posted_payment(stand: Stand, client: AsyncClient) -> None:
    made = payment()
    plain = {"description": "tea", "email": "a@example.org", "metadata": {"order": 7}}
    sealed = stand.engines.sealer.seal(json.dumps(plain).encode(), made.id.bytes)
    fact = posted(id=made.id, details=sealed, position=1)
    await stand.have(fact)
    stand.charges[made.id] = Charges(
        attempts=[attempt("absent"), attempt("executed", 2)],
        conflicts=[ConflictView(["amount"], NOW_MS)],
    )
    answer = (await client.get(f"/payments/{made.id}")).json()
    assert answer == {
        "correlationId": str(made.id),
        "status": "completed",
        "detail": "executed",
        "amount": 19.90,
        "currency": "EUR",
        "accountId": "alice",
        "merchantId": "shop",
        "processor": "default",
        "fee": 1.00,
        "reason": "cheapest",
        "acceptedAt": "2025-12-31T23:59:59.900000Z",
        "requestedAt": "2026-01-01T00:00:00Z",
        "settledAt": "2026-01-01T00:00:00.020000Z",
        "postedAt": "2026-01-01T00:00:00.030000Z",
        "attempts": [
            {
                "number": number,
                "processor": "default",
                "state": state,
                "requestedAt": "2026-01-01T00:00:00Z",
                "explanation": {"reason": "cheapest"},
                "note": "",
            }
            for number, state in ((1, "absent"), (2, "executed"))
        ],
        "conflicts": [{"fields": ["amount"], "noticedAt": "2026-01-01T00:00:00Z"}],
        **plain,
    }


async def test_amounts_keep_their_trailing_zeros(stand: Stand, client: AsyncClient) -> None:
    fact = posted()
    await stand.have(fact)
    text = (await client.get(f"/payments/{id_of(fact)}")).text
    assert '"amount":19.90' in text
    assert '"fee":1.00' in text


async def test_a_payment_in_flight_shows_what_routing_has(
    stand: Stand, client: AsyncClient
) -> None:
    made = payment(account_id="")
    stand.charges[made.id] = Charges(payment=made, attempts=[attempt("unknown")])
    answer = (await client.get(f"/payments/{made.id}")).json()
    assert answer["amount"] == 19.90
    assert answer["accountId"] == "anonymous:shop"
    assert (answer["status"], answer["detail"]) == ("processing", "unknown")
    assert "processor" not in answer


async def test_a_posted_payment_comes_from_the_cache_unless_asked_past_it(
    stand: Stand, client: AsyncClient
) -> None:
    fact = posted()
    await stand.have(fact)
    path = f"/payments/{id_of(fact)}"
    assert (await client.get(path)).json()["conflicts"] == []
    stand.charges[id_of(fact)] = Charges(conflicts=[ConflictView(["amount"], NOW_MS)])
    assert (await client.get(path)).json()["conflicts"] == []
    past = (await client.get(path, headers={"cache-control": "no-cache"})).json()
    assert len(past["conflicts"]) == 1


async def test_what_is_cached_of_a_payment_is_sealed(stand: Stand, client: AsyncClient) -> None:
    made = payment()
    sealed = stand.engines.sealer.seal(b'{"email": "a@example.org"}', made.id.bytes)
    await stand.have(posted(id=made.id, details=sealed))
    assert (await client.get(f"/payments/{made.id}")).json()["email"] == "a@example.org"
    held = (await stand.engines.cache.get([f"payment:{made.id}"]))[0]
    assert held is not None
    assert b"example" not in held[1]
    assert (await client.get(f"/payments/{made.id}")).json()["email"] == "a@example.org"


@pytest.mark.parametrize("text", ["7", "not-a-uuid", "0" * 32])
async def test_an_id_that_is_none_is_refused(client: AsyncClient, text: str) -> None:
    for path in ("", "/status"):
        answer = await client.get(f"/payments/{text}{path}")
        assert answer.status_code == 400
        assert answer.json()["fields"] == ["correlationId"]


async def test_a_store_that_stands_still_is_as_good_as_away(
    database_url: str, log_url: str, cache_url: str
) -> None:
    async with opened(database_url, log_url, cache_url) as engines:
        stand = stand_on(engines, source_timeout_ms=1_000)
        stand.still.add("attempts")
        transport = ASGITransport(stand.app())
        async with (
            asyncio.timeout(60),
            AsyncClient(transport=transport, base_url="http://voltpay") as client,
        ):
            for path in ("", "/status"):
                answer = await client.get(f"/payments/{payment().id}{path}")
                assert (answer.status_code, answer.json()["detail"]) == (503, "away: attempts")
        stand.still.clear()
        await stand.inquiry.part.close()


async def test_statuses_tells_what_the_read_model_has(stand: Stand) -> None:
    good, bad = posted(), posted(executed=False)
    await stand.have(good, bad)
    found = await stand.inquiry.statuses([id_of(good), id_of(bad), payment().id])
    assert {key: value.status for key, value in found.items()} == {
        id_of(good): Status.COMPLETED,
        id_of(bad): Status.FAILED,
    }
