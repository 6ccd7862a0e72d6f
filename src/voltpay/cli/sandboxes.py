"""The sandbox processors of an installation: which they are, and served while it rests."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

from pydantic import ValidationError

from voltpay.app.environment import misconfigured
from voltpay.app.settings import Settings
from voltpay.cli.ports import free_ports
from voltpay.foundation.runtime.lifecycle import Lifecycle
from voltpay.processors.sandbox.serve import serve_sandbox
from voltpay.processors.settings import ProcessorSettings


def sandbox_processors(ports: Iterable[int], currency: str) -> tuple[ProcessorSettings, ...]:
    """The two processors that `voltpay up` starts where no real ones are configured."""
    fees = {"default": Decimal("0.05"), "fallback": Decimal("0.15")}
    return tuple(
        ProcessorSettings(name=name, url=f"http://127.0.0.1:{port}", fee=fee, currency=currency)
        for (name, fee), port in zip(fees.items(), ports, strict=True)
    )


def processor_of(values: Mapping[str, str]) -> ProcessorSettings:
    """A processor as a command line names it. Raises Misconfigured."""
    try:
        return ProcessorSettings.model_validate(values)
    except ValidationError as error:
        raise misconfigured(error, ProcessorSettings, "--") from error


def journal_of(data: Path, processor: str) -> Path:
    """Where a sandbox processor of an installation keeps what it executed."""
    return data / "sandbox" / f"{processor}.journal"


@asynccontextmanager
async def sandboxes_served(data: Path, settings: Settings) -> AsyncIterator[Settings]:
    """The settings with the processors where they listen meanwhile: on ports that are free now.

    Their own ports may be another installation's by now. Raises Misconfigured.
    """
    ports = free_ports(len(settings.processors))
    lives = [_Life(each.name) for each in settings.processors]
    serving = [
        asyncio.create_task(serve_sandbox(each, journal_of(data, each.name), port, life))
        for each, port, life in zip(settings.processors, ports, lives, strict=True)
    ]
    moved = [
        each.model_copy(update={"url": f"http://127.0.0.1:{port}"})
        for each, port in zip(settings.processors, ports, strict=True)
    ]
    try:
        for life, task in zip(lives, serving, strict=True):
            await life.until_ready(task)
        yield settings.model_copy(update={"processors": tuple(moved)})
    finally:
        for life in lives:
            life.stopping.set()
        await asyncio.gather(*serving, return_exceptions=True)


class _Life(Lifecycle):
    """Of a role that has no process of its own."""

    def __init__(self, name: str) -> None:
        super().__init__(name, None)
        self._is_ready = asyncio.Event()

    def ready(self) -> None:
        self._is_ready.set()

    async def until_ready(self, task: "asyncio.Task[None]") -> None:
        """Return once it serves. Raises what ended it before."""
        ready = asyncio.create_task(self._is_ready.wait())
        await asyncio.wait({ready, task}, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if task.done():
            task.result()
