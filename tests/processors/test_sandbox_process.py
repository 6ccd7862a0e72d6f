"""The sandbox as a process of its own: killed, it has every payment that it answered."""

import asyncio
import signal
import sys
from pathlib import Path

from tests.processors.conftest import MakeCharge, MakeProcessor
from tests.processors.raw import free_port

from voltpay.processors.http import HttpProcessor
from voltpay.processors.seam import Duplicate, Executed

PROGRAM = """
import asyncio, sys
from pathlib import Path
from voltpay.foundation.runtime.lifecycle import Lifecycle, configure_logging, run_role
from voltpay.processors.sandbox.serve import serve_sandbox
from voltpay.processors.settings import ProcessorSettings

port = int(sys.argv[1])
settings = ProcessorSettings(name="default", url=f"http://127.0.0.1:{port}", fee="0.05")
run_role(
    "sandbox default",
    lambda life: serve_sandbox(settings, Path(sys.argv[2]), port, life),
    set_up_logs=lambda: configure_logging("warning", "sandbox"),
)
"""


async def start(port: int, journal: Path) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, str(port), str(journal)
    )


async def until_it_answers(processor: HttpProcessor, charge_of: MakeCharge) -> None:
    for _ in range(400):
        if isinstance(await processor.charge(charge_of(), 1000), Executed):
            return
        await asyncio.sleep(0.05)
    raise AssertionError("the sandbox does not come up")


async def test_killed_under_load_it_has_what_it_answered_and_ends_cleanly_on_sigterm(
    tmp_path: Path, processor_at: MakeProcessor, charge_of: MakeCharge
) -> None:
    port, journal = free_port(), tmp_path / "deep" / "one.journal"
    process = await start(port, journal)
    processor = processor_at(f"http://127.0.0.1:{port}")
    await until_it_answers(processor, charge_of)
    executed = []

    async def charge_until_it_dies() -> None:
        while True:
            charge = charge_of()
            if not isinstance(await processor.charge(charge, 2000), Executed):
                return
            executed.append(charge)

    load = [asyncio.create_task(charge_until_it_dies()) for _ in range(8)]
    while len(executed) < 200:
        await asyncio.sleep(0.005)
    process.kill()
    await asyncio.gather(*load, process.wait())

    process = await start(port, journal)
    await until_it_answers(processor, charge_of)
    repeats = [await processor.charge(charge, 2000) for charge in executed]
    process.send_signal(signal.SIGTERM)

    assert await process.wait() == 0
    assert repeats == [Duplicate()] * len(executed)
