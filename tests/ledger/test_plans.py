"""What PostgreSQL does for the ledger's questions once it plans them for all parameters at once."""

from datetime import date, timedelta

import pytest
from tests.ledger.books import DAY, Books

from voltpay.services.ledger import store

OF_FACTS = "uuid[], date[], date, date"
ASKED_FACTS = "array['7a6e3c9e-0000-4000-8000-000000000001']::uuid[], array['{day}'::date]"
OF_WINDOW = "date[], date, date, timestamptz, timestamptz"
QUESTIONS = {
    "known": (store._KNOWN, OF_FACTS, ASKED_FACTS + ", '{day}', '{day}'"),
    "known to readers": (store._KNOWN_TO_READERS, OF_FACTS, ASKED_FACTS + ", '{day}', '{day}'"),
    "of days": (store._OF_DAYS, OF_FACTS, ASKED_FACTS + ", '{day}', '{day}'"),
    "window": (store._WINDOW, OF_WINDOW, "array['{day}'::date], '{day}', '{day}', now(), now()"),
}


@pytest.mark.parametrize("question", QUESTIONS)
async def test_a_question_about_a_day_looks_into_no_other_day(books: Books, question: str) -> None:
    others: list[date] = [DAY + timedelta(days) for days in (1, 2, 3)]
    for day in others:
        await books.store.prepare_day(day)
    sql, types, values = QUESTIONS[question]
    async with books.database.session() as session:
        await session.execute("set plan_cache_mode = force_generic_plan")
        await session.execute(f"prepare asked({types}) as {sql}")
        rows = await session.fetch(f"explain execute asked({values.format(day=DAY)})")
        await session.execute("deallocate asked; reset plan_cache_mode")
    plan = "\n".join(row[0] for row in rows)
    assert "$1" in plan, plan
    assert f"_{DAY:%Y%m%d}" in plan, plan
    assert not [day for day in others if f"_{day:%Y%m%d}" in plan], plan
