"""The bare loop: the hops of a payment with nothing else in them, to be compared with.

    python benchmarks/bare.py --seconds 4

Hops: HTTP accept (validate, refuse a repeat, append, fsync) -> route (one HTTP call to a processor)
-> ledger (one transaction a batch: idempotency, payment, two postings, balances) -> fact. The same
engines with the same settings and the same clients as `voltpay bench`; no attempts, no retries, no
breaker, no sealing, no metrics, no status, no read model. Prints one JSON line, payments a second:
accept_32 and accept_256 by clients; drain: route and ledger on a backlog of `--backlog`, from the
first batch that the ledger takes; whole: all at once, from the first request to the last posted;
ledger: its statements in batches of a thousand. And milliseconds of accepting at 2,000/s: quiet_p50
and quiet_p99 alone, busy_p50 and busy_p99 while all else works.
"""

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import msgspec
import uvloop
from redis.asyncio import Redis

from voltpay.cli.bench.crowd import closed, opened
from voltpay.cli.bench.moments import steady
from voltpay.cli.bench.requests import payments
from voltpay.cli.ports import free_ports
from voltpay.foundation.engines.embedded import EmbeddedEngines

TAKEN_ROUTE, TAKEN_LEDGER, AT_ONCE = 512, 1_000, 64
OFFERED_PER_S = 2_000
ACCEPT = """
local out = {}
for i = 0, #ARGV / 3 - 1 do
  local key = 'p:' .. ARGV[i*3+1]
  if redis.call('SET', key, ARGV[i*3+2], 'NX', 'EX', 3600) then
    redis.call('XADD', KEYS[1], '*', 'p', ARGV[i*3+3]); out[i+1] = 1
  else out[i+1] = redis.call('GET', key) == ARGV[i*3+2] and 0 or -1 end
end
return out
"""
TABLES = """
drop schema if exists bare cascade; create schema bare;
create table bare.idem (message_id uuid, day date, primary key (message_id, day));
create table bare.payment (id uuid not null, account_id bigint not null, amount bigint not null,
    currency smallint not null, processor smallint not null, requested_at timestamptz not null,
    processed_at timestamptz not null);
create table bare.posting (payment_id uuid not null, account_id bigint not null,
    amount bigint not null);
create table bare.balance (account_id bigint primary key, amount bigint not null)
    with (fillfactor = 50);
insert into bare.balance select g, 0 from generate_series(0, 10000) g
"""
KNOWN = """
insert into bare.idem select unnest($1::uuid[]), $2 on conflict do nothing returning message_id"""
MOVE = """
update bare.balance b set amount = b.amount + u.a
  from unnest($1::bigint[], $2::bigint[]) u(k, a) where b.account_id = u.k"""


class Payment(msgspec.Struct):
    """A request."""

    correlationId: UUID  # noqa: N815
    amount: Decimal
    account: int = 0


class Wire(msgspec.Struct, array_like=True):
    """A record on the log."""

    id: UUID
    amount: int
    account: int
    at: float


PACK, UNPACK = msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder(Wire).decode


def log():
    """A client of the log."""
    return Redis.from_url(os.environ["BARE_LOG"])


def api():
    """The accepting app: a group commit round one script."""
    from litestar import Litestar, post

    waiting, wake = [], asyncio.Event()

    async def commit(client):
        sha = await client.script_load(ACCEPT)
        while True:
            await wake.wait()
            wake.clear()
            batch = waiting[:]
            waiting.clear()
            words = [word for row, _ in batch for word in row]
            answers = await client.evalsha(sha, 1, "accepted", *words)
            for (_, future), answer in zip(batch, answers, strict=True):
                if not future.done():
                    future.set_result(answer)

    tasks = []

    async def start():
        tasks.append(asyncio.create_task(commit(log())))

    @post("/payments", status_code=202)
    async def pay(data: Payment) -> dict[str, object]:
        future = asyncio.get_running_loop().create_future()
        minor = int(data.amount * 100)
        wire = Wire(data.correlationId, minor, data.account, time.time())
        waiting.append(((data.correlationId.bytes, b"%d" % minor, PACK(wire)), future))
        wake.set()
        await future
        return {"correlationId": data.correlationId, "status": "queued"}

    return Litestar([pay], on_startup=[start], openapi_config=None)


async def processor(scope, receive, send):
    """A processor that says yes."""
    if scope["type"] == "http":
        await receive()
        headers = [(b"content-type", b"application/json"), (b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"{}"})


async def taken(client, stream, count, idle_s):
    """Batches of a stream, until nothing came for so long."""
    with contextlib.suppress(Exception):
        await client.xgroup_create(stream, "g", "0", mkstream=True)
    last = time.monotonic()
    while time.monotonic() - last < idle_s:
        got = await client.xreadgroup("g", "1", {stream: ">"}, count=count, block=200)
        if got:
            rows = got[0][1]
            yield [number for number, _ in rows], [UNPACK(fields[b"p"]) for _, fields in rows]
            last = time.monotonic()


async def passed_on(client, source, numbers, target, wires):
    """Publish and acknowledge in one step."""
    pipe = client.pipeline(transaction=True)
    for wire in wires:
        pipe.xadd(target, {b"p": PACK(wire)})
    pipe.xack(source, "g", *numbers)
    await pipe.execute()


async def route(idle_s):
    """Charge each, many at once."""
    from pyreqwest.client import ClientBuilder

    client, encode = log(), msgspec.json.Encoder().encode
    url = os.environ["BARE_PROCESSOR"] + "/payments"
    async with ClientBuilder().build() as http:

        async def charge(wires):
            for wire in wires:
                asked = {"correlationId": wire.id, "amount": wire.amount / 100}
                body = encode(asked | {"requestedAt": wire.at})
                request = http.post(url).body_bytes(body)
                answer = await request.header("content-type", "application/json").build().send()
                assert answer.status == 200

        async for numbers, wires in taken(client, "accepted", TAKEN_ROUTE, idle_s):
            left = iter(wires)
            await asyncio.gather(*(charge(left) for _ in range(AT_ONCE)))
            await passed_on(client, "accepted", numbers, "settled", wires)


async def ledger(idle_s):
    """Post each batch in one transaction."""
    client, database = log(), await asyncpg.connect(os.environ["BARE_DATABASE"])
    done, first, last = 0, 0.0, 0.0
    async for numbers, wires in taken(client, "settled", TAKEN_LEDGER, idle_s):
        first = first or time.time()
        await post_batch(database, wires)
        await passed_on(client, "settled", numbers, "posted", wires)
        done, last = done + len(wires), time.time()
    print(json.dumps({"done": done, "first": first, "last": last}))


async def post_batch(database, wires):
    """Idempotency, payments, postings, balances."""
    now = datetime.now(UTC)
    async with database.transaction():
        ids = [wire.id for wire in wires]
        new = {row[0] for row in await database.fetch(KNOWN, ids, date.today())}
        fresh = [wire for wire in wires if wire.id in new]
        await database.copy_records_to_table(
            "payment",
            schema_name="bare",
            records=[(wire.id, wire.account, wire.amount, 1, 0, now, now) for wire in fresh],
        )
        sides = [
            leg
            for wire in fresh
            for leg in ((wire.id, wire.account, -wire.amount), (wire.id, 0, wire.amount))
        ]
        await database.copy_records_to_table("posting", schema_name="bare", records=sides)
        sums = {}
        for _, account, amount in sides:
            sums[account] = sums.get(account, 0) + amount
        keys = sorted(sums)
        await database.execute(MOVE, keys, [sums[key] for key in keys])


async def ledger_alone(seconds):
    """Payments a second of its statements, a thousand a batch."""
    database = await asyncpg.connect(os.environ["BARE_DATABASE"])
    total, spent = 0, 0.0
    while spent < seconds:
        wires = [Wire(uuid4(), 1990, 1 + n * 7919 % 9_999, 0.0) for n in range(TAKEN_LEDGER)]
        began = time.perf_counter()
        await post_batch(database, wires)
        spent += time.perf_counter() - began
        total += TAKEN_LEDGER
    await database.close()
    return total / spent


async def length_of(stream):
    """How much stands in a stream."""
    client = log()
    length = await client.xlen(stream)
    await client.aclose()
    return length


async def emptied():
    """Begin anew."""
    client = log()
    await client.flushall()
    await client.aclose()
    database = await asyncpg.connect(os.environ["BARE_DATABASE"])
    await database.execute("set client_min_messages = warning; " + TABLES)
    await database.close()


def stage(name, idle_s):
    """A process of one stage."""
    command = [sys.executable, __file__, "--stage", name, "--seconds", str(idle_s)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def told(process):
    """What a stage printed at its end."""
    return json.loads(process.communicate()[0])


def measured(url, seconds, backlog):
    """The figures."""
    shape = '"account":{}'

    def burst(clients):
        return uvloop.run(closed(url, payments(url, shape), clients=clients, seconds=seconds))

    uvloop.run(emptied())

    def offered(name):
        answers = uvloop.run(opened(url, payments(url, shape), steady(OFFERED_PER_S, seconds)))
        figures[f"{name}_p50"] = answers.percentile_ms(0.5)
        figures[f"{name}_p99"] = answers.percentile_ms(0.99)

    figures = {f"accept_{clients}": burst(clients).per_s(202) for clients in (32, 256)}
    offered("quiet")
    while uvloop.run(length_of("accepted")) < backlog:
        burst(32)
    routing, books = stage("route", 2), stage("ledger", 4)
    drained = told(books)
    routing.wait()
    figures["drain"] = drained["done"] / (drained["last"] - drained["first"])
    uvloop.run(emptied())
    routing, books = stage("route", 4), stage("ledger", 5)
    time.sleep(1.5)
    began = time.time()
    burst(32)
    done = told(books)
    routing.wait()
    figures["whole"] = done["done"] / (done["last"] - began)
    routing, books = stage("route", 3), stage("ledger", 4)
    time.sleep(1.5)
    offered("busy")
    told(books)
    routing.wait()
    figures["ledger"] = uvloop.run(ledger_alone(seconds / 4))
    return figures


def served(app, port, *more):
    """A process of uvicorn."""
    command = [sys.executable, "-m", "uvicorn", "--loop", "uvloop", "--http", "httptools"]
    command += ["--no-access-log", "--log-level", "error", "--port", str(port), *more, app]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    return subprocess.Popen(command, env=environment)


def await_listening(port, within_s=30):
    """Until somebody listens there."""
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise TimeoutError(f"nobody listens on {port}")


def run(seconds, backlog):
    """Start all, measure, print, stop."""
    folder = Path(tempfile.mkdtemp(prefix="bare-"))
    folder.chmod(0o711)
    api_port, processor_port = free_ports(2)
    engines, servers = EmbeddedEngines(folder / "data"), []
    try:
        urls = engines.start()
        os.environ["BARE_LOG"], os.environ["BARE_DATABASE"] = urls.log, urls.database
        os.environ["BARE_PROCESSOR"] = f"http://127.0.0.1:{processor_port}"
        servers = [
            served("bare:processor", processor_port),
            served("bare:api", api_port, "--factory"),
        ]
        for port in (api_port, processor_port):
            await_listening(port)
        print(json.dumps(measured(f"http://127.0.0.1:{api_port}", seconds, backlog)))
    finally:
        for server in servers:
            server.terminate()
            server.wait()
        engines.stop()
        shutil.rmtree(folder, ignore_errors=True)


def main():
    """The command."""
    asked = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    asked.add_argument("--seconds", type=float, default=4.0)
    asked.add_argument("--backlog", type=int, default=0)
    asked.add_argument("--stage", choices=["route", "ledger"])
    given = asked.parse_args()
    # Asked to end, it stops what it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    if given.stage is None:
        run(given.seconds, given.backlog)
    else:
        uvloop.run({"route": route, "ledger": ledger}[given.stage](given.seconds))


if __name__ == "__main__":
    main()
