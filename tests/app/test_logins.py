"""A service that starts before `voltpay migrate up` has given it its login waits for it."""

import asyncio
import subprocess
import sys
import time

import asyncpg
import pytest
from tests.faults.more import is_ready
from tests.faults.refusals import environment
from tests.stack import free_ports

from voltpay.app.rights import database_role, with_user

PASSWORD = "given later"
PATIENCE_S = 30


@pytest.fixture
def starting(tmp_path, log_url, cache_url, database_url):
    """`voltpay run inquiry` with a login that is not given yet; its port and its standard error."""
    (port,) = free_ports(1)
    urls = {
        "VOLTPAY_LOG_URL": log_url,
        "VOLTPAY_CACHE_URL": cache_url,
        "VOLTPAY_DATABASE_URL": with_user(database_url, database_role("inquiry"), PASSWORD),
        "VOLTPAY_SECRET": "s" * 40,
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "voltpay", "run", "inquiry", "--port", str(port)],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        env=environment(tmp_path, urls),
        cwd=tmp_path,
    )
    try:
        yield port, process.stderr
    finally:
        process.terminate()
        process.wait(PATIENCE_S)
        process.stderr.close()


async def test_a_service_waits_for_its_login(starting, database_url):
    port, said = starting
    assert said.readline() == "voltpay_inquiry may not log in: waiting for `voltpay migrate up`\n"
    owner = await asyncpg.connect(database_url)
    try:
        await owner.execute(f"alter role voltpay_inquiry login password '{PASSWORD}'")
    finally:
        await owner.close()
    end = time.monotonic() + PATIENCE_S
    while not await asyncio.to_thread(is_ready, f"http://127.0.0.1:{port}"):
        assert time.monotonic() < end
        await asyncio.sleep(0.1)
