"""Names kept once: a table of (id, name) and a bounded memory of it."""

from collections.abc import Iterable, Mapping

from voltpay.foundation.engines.postgres.pool import Session


class NameTable:
    """Ids of names in `table`, a table with a unique `name` and a generated `id`.

    Ids are made in a transaction of their own by whoever passes a session outside one, and
    remembered only then; names are never deleted, but by a purge, which calls `forget`.
    """

    def __init__(self, table: str, *, remembered_max: int = 200_000) -> None:
        self._insert = (
            f"insert into {table} (name) select unnest($1::text[]) on conflict (name) do nothing"
        )
        self._select = f"select id, name from {table} where name = any($1::text[])"  # noqa: S608
        self._ids: dict[str, int] = {}
        self._remembered_max = remembered_max

    async def ids_of(self, session: Session, names: Iterable[str]) -> Mapping[str, int]:
        """The id of every name, making those that are new. Two round trips at most."""
        wanted = set(names)
        missing = sorted(wanted - self._ids.keys())
        if missing:
            found = await session.fetch(self._select, missing)
            if len(found) < len(missing):
                await session.execute(self._insert, missing)
                found = await session.fetch(self._select, missing)
            if len(self._ids) + len(found) > self._remembered_max:
                self._ids.clear()
                found = await session.fetch(self._select, sorted(wanted))
            self._ids.update((row["name"], row["id"]) for row in found)
        return {name: self._ids[name] for name in wanted}

    def forget(self) -> None:
        """Drop what is remembered."""
        self._ids.clear()
