"""Balances and transactions: exact, paged without gaps, never stale after a projection."""

import base64
from typing import Any

import pytest
from httpx import AsyncClient
from tests.inquiry.stand import NOW_MS, Stand, id_of, posted
from tests.inquiry.test_project import some_facts


async def balance_of(client: AsyncClient, account: str = "alice") -> dict[str, Any]:
    answer = await client.get(f"/accounts/{account}/balance")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def listed(client: AsyncClient, account: str, **query: Any) -> list[dict[str, Any]]:
    """All pages, one after the other."""
    items: list[dict[str, Any]] = []
    while True:
        answer = await client.get(f"/accounts/{account}/transactions", params=query)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        items += page["items"]
        if page["next"] is None:
            return items
        query["cursor"] = page["next"]


async def test_a_balance_is_the_sum_of_postings(stand: Stand, client: AsyncClient) -> None:
    await stand.have(
        posted(sequence=1),
        posted(sequence=2, amount_minor=10),
        posted(sequence=1, currency="JPY", amount_minor=7),
        posted(executed=False),
    )
    assert await balance_of(client) == {
        "accountId": "alice",
        "balances": [
            {"currency": "EUR", "balance": -20.00, "version": 2},
            {"currency": "JPY", "balance": -7, "version": 1},
        ],
        "asOf": "2026-01-01T00:00:00.030000Z",
    }


async def test_a_balance_keeps_its_decimals(stand: Stand, client: AsyncClient) -> None:
    await stand.have(posted(sequence=1), posted(sequence=2, amount_minor=10))
    assert '"balance":-20.00' in (await client.get("/accounts/alice/balance")).text


async def test_an_anonymous_account_adds_up_its_partitions(
    stand: Stand, client: AsyncClient
) -> None:
    await stand.have(
        *(posted(account_id="", partition=partition, sequence=1) for partition in range(4))
    )
    balance = (await balance_of(client, "anonymous:shop"))["balances"][0]
    assert (balance["balance"], balance["version"]) == (-79.60, 4)


async def test_a_cached_balance_is_new_after_every_projection(
    stand: Stand, client: AsyncClient
) -> None:
    for sequence in range(1, 5):
        await stand.have(posted(sequence=sequence, amount_minor=100))
        for _ in range(2):
            assert (await balance_of(client))["balances"][0]["balance"] == -sequence
        await stand.have(posted(executed=False))
        items = await listed(client, "alice")
        assert len(items) == 2 * sequence


async def test_answers_come_from_the_cache_unless_asked_past_it(
    stand: Stand, client: AsyncClient
) -> None:
    await stand.have(posted())
    await balance_of(client)
    await listed(client, "alice")
    await stand.execute("update inquiry.balance set amount_minor = 0")
    await stand.execute("delete from inquiry.payment")
    assert (await balance_of(client))["balances"][0]["balance"] == -19.90
    assert len(await listed(client, "alice")) == 1
    past = {"cache-control": "max-age=0, No-Cache"}
    answer = await client.get("/accounts/alice/balance", headers=past)
    assert answer.json()["balances"][0]["balance"] == 0
    answer = await client.get("/accounts/alice/transactions", headers=past)
    assert answer.json() == {"items": [], "next": None}
    assert (await balance_of(client))["balances"][0]["balance"] == 0


@pytest.mark.parametrize("question", ["balance", "transactions"])
async def test_an_account_without_payments_is_unknown(
    stand: Stand, client: AsyncClient, question: str
) -> None:
    answer = await client.get(f"/accounts/alice/{question}")
    assert answer.status_code == 404
    assert answer.json()["type"] == "urn:voltpay:problem:account-unknown"
    await stand.have(posted())
    assert (await client.get(f"/accounts/alice/{question}")).status_code == 200
    assert (await client.get(f"/accounts/bob/{question}")).status_code == 404


@pytest.mark.parametrize("account", ["a%20b", "%00", "-a", "a" * 65, "anonymous:", "%C3%A9"])
async def test_what_cannot_name_an_account_is_refused(client: AsyncClient, account: str) -> None:
    for question in ("balance", "transactions"):
        answer = await client.get(f"/accounts/{account}/{question}")
        assert answer.status_code == 400
        assert answer.json()["fields"] == ["accountId"]


async def test_pages_of_any_size_show_every_payment_once_and_newest_first(
    stand: Stand, client: AsyncClient
) -> None:
    facts = [posted(requested_at_ms=NOW_MS + number // 3) for number in range(23)]
    await stand.have(*facts)
    order = sorted(
        facts, key=lambda fact: (fact.settled.attempt.requested_at_ms, id_of(fact)), reverse=True
    )
    for limit in (1, 2, 7, 22, 23, 24, 200):
        items = await listed(client, "alice", limit=limit)
        assert [item["correlationId"] for item in items] == [str(id_of(fact)) for fact in order]


async def test_a_page_stays_in_place_while_payments_come(stand: Stand, client: AsyncClient) -> None:
    await stand.have(*(posted(requested_at_ms=NOW_MS + number) for number in range(4)))
    first = (await client.get("/accounts/alice/transactions?limit=2")).json()
    await stand.have(posted(requested_at_ms=NOW_MS + 9))
    after = await client.get(f"/accounts/alice/transactions?limit=2&cursor={first['next']}")
    times = [item["requestedAt"][-8:] for item in first["items"] + after.json()["items"]]
    assert times == [".003000Z", ".002000Z", ".001000Z", "00:00:00Z"[1:]]


async def test_filters_select_and_still_page(stand: Stand, client: AsyncClient) -> None:
    facts = some_facts(31, 200)
    await stand.have(*facts)
    mine = [fact for fact in facts if fact.settled.payment.account_id == "bob"]
    for query, expected in (
        ({"currency": "JPY"}, [f for f in mine if f.settled.payment.currency == "JPY"]),
        ({"status": "failed"}, [f for f in mine if not f.settled.executed]),
        ({"status": "completed"}, [f for f in mine if f.settled.executed]),
        (
            {"from": "2026-01-01T12:00:00Z", "to": "2026-01-02T12:00:00Z"},
            [
                f
                for f in mine
                if 43_200_000 <= f.settled.attempt.requested_at_ms - NOW_MS <= 129_600_000
            ],
        ),
    ):
        items = await listed(client, "bob", limit=3, **query)
        assert {i["correlationId"] for i in items} == {str(id_of(f)) for f in expected}
        assert len(items) == len(expected) > 0


async def test_an_item_tells_what_happened(stand: Stand, client: AsyncClient) -> None:
    fact = posted(executed=False)
    await stand.have(fact)
    assert await listed(client, "alice") == [
        {
            "correlationId": str(id_of(fact)),
            "status": "failed",
            "detail": "declined",
            "amount": 19.90,
            "currency": "EUR",
            "merchantId": "shop",
            "processor": "default",
            "fee": 0,
            "requestedAt": "2026-01-01T00:00:00Z",
            "settledAt": "2026-01-01T00:00:00.020000Z",
            "postedAt": "2026-01-01T00:00:00.030000Z",
            "sequence": 0,
            "declined": "no funds",
        }
    ]


def _cursor(packed: bytes) -> str:
    return base64.urlsafe_b64encode(packed).decode()


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=ten", "limit"),
        ("cursor=", "cursor"),
        ("cursor=abc", "cursor"),
        ("cursor=" + "!" * 32, "cursor"),
        ("cursor=" + _cursor(b"\x7f" + b"\xff" * 23), "cursor"),
        ("cursor=" + _cursor(b"\x80" + b"\x00" * 23), "cursor"),
        ("cursor=%C3%A9", "cursor"),
        ("currency=XXX", "currency"),
        ("currency=eur", "currency"),
        ("status=queued", "status"),
        ("from=yesterday", "from"),
        ("to=2026-01-01", "to"),
        ("colour=red", "colour"),
        ("limit=1&limit=2", "limit"),
    ],
)
async def test_a_malformed_query_is_refused_by_the_name_of_its_field(
    stand: Stand, client: AsyncClient, query: str, field: str
) -> None:
    await stand.have(posted())
    answer = await client.get(f"/accounts/alice/transactions?{query}")
    assert answer.status_code == 400, answer.text
    assert answer.json()["fields"] == [field]
    assert answer.headers["content-type"].startswith("application/problem+json")


async def test_the_summary_over_http(stand: Stand, client: AsyncClient) -> None:
    await stand.have(posted(), posted(processor="fallback", amount_minor=1))
    answer = await client.get("/payments-summary")
    assert answer.text == (
        '{"default":{"totalRequests":1,"totalAmount":19.90},'
        '"fallback":{"totalRequests":1,"totalAmount":0.01}}'
    )
    assert answer.headers["voltpay-complete"] == "true"
    inside = await client.get(
        "/payments-summary?from=2026-01-01T00:00:00Z&to=2026-01-01T00:00:00.0009Z"
    )
    assert inside.json()["default"]["totalRequests"] == 1
    other = await client.get("/payments-summary?currency=JPY&from=2026-01-01T02:00:00%2B02:00")
    assert other.json()["default"] == {"totalRequests": 0, "totalAmount": 0}


async def test_an_incomplete_summary_says_so_over_http(stand: Stand, client: AsyncClient) -> None:
    stand.ends = {0: 5}
    answer = await client.get("/payments-summary")
    assert answer.status_code == 200
    assert answer.headers["voltpay-complete"] == "false"


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ("from=2026-01-01T00:00:00", ["from"]),
        ("to=tomorrow", ["to"]),
        ("from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", ["from", "to"]),
        ("currency=ZZZ", ["currency"]),
        ("since=2026-01-02T00:00:00Z", ["since"]),
        ("from=", ["from"]),
    ],
)
async def test_a_malformed_summary_is_refused_by_the_name_of_its_field(
    client: AsyncClient, query: str, fields: list[str]
) -> None:
    answer = await client.get(f"/payments-summary?{query}")
    assert answer.status_code == 400
    assert answer.json()["fields"] == fields


async def test_the_schema_documents_every_answer(stand: Stand) -> None:
    paths = stand.app().openapi_schema.to_schema()["paths"]
    expected = {
        "/payments/{payment_id}": {"200", "400", "404", "503"},
        "/payments/{payment_id}/status": {"200", "400", "404", "503"},
        "/accounts/{account_id}/balance": {"200", "400", "404", "503"},
        "/accounts/{account_id}/transactions": {"200", "400", "404", "503"},
        "/payments-summary": {"200", "400", "503"},
    }
    assert {path: set(item["get"]["responses"]) for path, item in paths.items()} == expected
    names = {p["name"] for p in paths["/payments-summary"]["get"]["parameters"]}
    assert names == {"from", "to", "currency", "Voltpay-After"}
    assert "Voltpay-Complete" in paths["/payments-summary"]["get"]["responses"]["200"]["headers"]
