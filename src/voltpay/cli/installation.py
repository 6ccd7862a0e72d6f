"""Find the installation that a command works on: a data folder, or engines by settings."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, TypeVar

import platformdirs
import typer
from pydantic import SecretStr

from voltpay.app.engines import open_engines, refuse_wrong_urls
from voltpay.app.house import House, build
from voltpay.app.settings import Settings, read_settings
from voltpay.cli.reach import explained
from voltpay.cli.sandboxes import sandbox_processors, sandboxes_served
from voltpay.core.errors import Misconfigured, Unavailable
from voltpay.foundation.engines.embedded import EmbeddedEngines, EngineUrls, installed_urls, secret
from voltpay.migrations import needs_migration, status

T = TypeVar("T")

SANDBOX_PORTS: Final = (8001, 8002)
SETTINGS_FILE: Final = "installation.json"

DataOption = Annotated[
    Path | None,
    typer.Option("--data", help="Folder of the embedded engines; default: the user's data folder"),
]
ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="TOML file of settings; default: voltpay.toml")
]


def data_folder(data: Path | None) -> Path:
    """The folder of the embedded engines: as given, or `voltpay` in the user's data folder."""
    try:
        return (data or Path(platformdirs.user_data_dir("voltpay"))).expanduser().absolute()
    except RuntimeError as error:
        raise Misconfigured(f"there is no home of {data}", "write --data in full") from error


def with_urls(settings: Settings, urls: EngineUrls, seal: bytes) -> Settings:
    """The settings with what the embedded engines fill in."""
    filled: dict[str, object] = {
        "log_url": urls.log,
        "cache_url": urls.cache,
        "database_url": SecretStr(urls.database),
        "replica_urls": (SecretStr(urls.replica),) if urls.replica else (),
    }
    if not settings.secret.get_secret_value():
        filled["secret"] = SecretStr(seal.hex())
    return settings.model_copy(update=filled)


def with_sandbox(settings: Settings, ports: tuple[int, ...]) -> Settings:
    """The settings with two sandbox processors, unless processors are configured."""
    if settings.processors or not ports:
        return settings
    processors = sandbox_processors(ports, settings.currency)
    return settings.model_copy(update={"processors": processors, "sandbox": True})


@dataclass(frozen=True)
class Located:
    """Settings of an installation, and its folder if nothing but this command runs it."""

    settings: Settings
    resting: Path | None = None


@contextmanager
def found(data: Path | None, config: Path | None) -> Iterator[Settings]:
    """Settings of the installation; its embedded engines run inside, started if they do not."""
    with located(data, config) as installation:
        yield installation.settings


@contextmanager
def located(data: Path | None, config: Path | None) -> Iterator[Located]:
    """The installation, its engines running inside. Raises Misconfigured where there is none."""
    settings = read_settings(config)
    if not settings.is_embedded:
        refuse_wrong_urls(settings)
        with explained(settings):
            yield Located(settings)
        return
    folder = data_folder(data)
    settings = remembered(folder, settings)
    urls = installed_urls(folder)
    if urls is not None:
        settings = with_urls(settings, urls, secret(folder))
        with explained(settings, folder):
            yield Located(settings)
        return
    engines = EmbeddedEngines(
        folder,
        log_memory_bytes=settings.log_memory_bytes,
        cache_memory_bytes=settings.cache_memory_bytes,
    )
    urls = engines.start()
    try:
        settings = with_urls(settings, urls, secret(folder))
        with explained(settings, folder):
            yield Located(settings, resting=folder)
    finally:
        engines.stop()


def remember(folder: Path, ports: tuple[int, ...]) -> None:
    """Keep which sandbox ports an installation was started with, for later commands."""
    (folder / SETTINGS_FILE).write_text(f'{{"sandbox_ports": {list(ports)}}}\n', encoding="utf-8")


def remembered(folder: Path, settings: Settings) -> Settings:
    """The settings with the sandbox processors that the installation was started with."""
    path = folder / SETTINGS_FILE
    try:
        ports = tuple(map(int, json.loads(path.read_text(encoding="utf-8"))["sandbox_ports"]))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise Misconfigured(
            f"there is no installation in {folder}", "name its folder with --data, or `voltpay up`"
        ) from error
    except OSError as error:
        raise Misconfigured(
            f"{path} cannot be read ({error.strerror})", "use the user that started `voltpay up`"
        ) from error
    except (KeyError, TypeError, ValueError) as error:
        raise Misconfigured(f"{path} is damaged", "`voltpay up` writes it anew") from error
    return with_sandbox(settings, ports)


@asynccontextmanager
async def opened_house(settings: Settings, name: str) -> AsyncIterator[House]:
    """The services of an installation, closed afterwards."""
    opened = open_engines(settings, name)
    house = build(settings, opened)
    try:
        yield house
    finally:
        await house.close()
        await opened.close()


def with_house(
    data: Path | None,
    config: Path | None,
    work: Callable[[House, Settings], Coroutine[object, object, T]],
    *,
    reads_journals: bool = False,
    checks_schema: bool = True,
) -> T:
    """Run `work` on the services of an installation.

    With `reads_journals`, the sandbox processors of one that rests are there meanwhile, too.
    """

    async def run(installation: Located) -> T:
        settings = installation.settings
        async with AsyncExitStack() as stack:
            if reads_journals and settings.sandbox and installation.resting:
                served = sandboxes_served(installation.resting, settings)
                settings = await stack.enter_async_context(served)
            house = await stack.enter_async_context(opened_house(settings, "command"))
            return await work(house, settings)

    with located(data, config) as installation:
        if checks_schema:
            refuse_old_schema(installation.settings)
        return asyncio.run(run(installation))


def refuse_old_schema(settings: Settings) -> None:
    """Raise Misconfigured when the database is behind this code."""
    if needs_migration(settings.database_url.get_secret_value()):
        raise Misconfigured("the schema is behind", "run `voltpay migrate up`")


def refuse_newer_schema(settings: Settings) -> None:
    """Raise Misconfigured when the database does not serve this code any more; if away, wait."""
    with suppress(Unavailable):
        status(settings.database_url.get_secret_value())
