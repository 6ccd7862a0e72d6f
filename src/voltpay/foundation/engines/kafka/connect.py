"""A Kafka cluster: how to reach it, calls that block, and what its errors mean here."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from typing import Any, Final, TypeVar
from urllib.parse import parse_qs, unquote, urlsplit

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from voltpay.core.errors import Broken, VoltpayError
from voltpay.foundation.engines.log_errors import LogAway, LogNotPrepared

T = TypeVar("T")
Config = dict[str, Any]

_OPTIONS: Final = frozenset({"tls", "ca", "mechanism"})
_MECHANISMS: Final = frozenset({"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"})
_THREADS: Final = 8
_RECONNECT_MAX_MS: Final = 1_000
_SOCKET_MS_MIN: Final = 1_000
_ONLY_WHAT_ENDS_A_CLIENT: Final = 2
"""librdkafka's own log: what it tells of brokers that come and go is told by its calls, too."""
_NOT_PREPARED: Final = frozenset(
    {
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._UNKNOWN_TOPIC,  # noqa: SLF001 - the library's names for its own codes
        KafkaError._UNKNOWN_PARTITION,  # noqa: SLF001
    }
)
_BEING_CHOSEN: Final = frozenset(
    {
        KafkaError._NOENT,  # noqa: SLF001
        KafkaError._TIMED_OUT,  # noqa: SLF001
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
    }
)
_AGAIN_S: Final = 0.1
_DEFECTS: Final = frozenset(
    {KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_MSG, KafkaError._INVALID_ARG}  # noqa: SLF001
)


class KafkaRefused(Broken):
    """The cluster refused what should not have been sent: a defect of ours."""


def is_readable(url: str) -> bool:
    """Whether clients can be made of a URL; connects nothing."""
    try:
        config_of(url)
    except ValueError:
        return False
    return True


def config_of(url: str) -> Config:
    """What clients are told of `kafka://user:password@host:port,…?tls=1&ca=FILE&mechanism=…`.

    Raises ValueError for one that cannot be read.
    """
    parts = urlsplit(url)
    given = (
        {name: values[-1] for name, values in parse_qs(parts.query, strict_parsing=True).items()}
        if parts.query
        else {}
    )
    login, _, hosts = parts.netloc.rpartition("@")
    if parts.scheme != "kafka" or not _are_hosts(hosts) or given.keys() - _OPTIONS:
        raise ValueError("no URL of Kafka")
    config: dict[str, Any] = {
        "bootstrap.servers": hosts,
        "log_level": _ONLY_WHAT_ENDS_A_CLIENT,
        "reconnect.backoff.max.ms": _RECONNECT_MAX_MS,
    }
    is_encrypted = given.get("tls", "") not in {"", "0", "false"} or "ca" in given
    if "ca" in given:
        config["ssl.ca.location"] = given["ca"]
    if login:
        name, _, password = login.partition(":")
        config["sasl.mechanism"] = given.get("mechanism", "SCRAM-SHA-512")
        config["sasl.username"], config["sasl.password"] = unquote(name), unquote(password)
        if config["sasl.mechanism"] not in _MECHANISMS:
            raise ValueError("no mechanism that is spoken here")
    protocol = f"{'sasl_' if login else ''}{'ssl' if is_encrypted else 'plaintext'}"
    return {**config, "security.protocol": protocol}


def _are_hosts(hosts: str) -> bool:
    each = [urlsplit(f"//{host}") for host in hosts.split(",")]
    return all(one.hostname and one.port for one in each)


def translated(error: KafkaError) -> VoltpayError:
    """An error of the library as one of ours."""
    if error.code() in _NOT_PREPARED:
        return LogNotPrepared("the log is not prepared: run `voltpay migrate`")
    if error.code() in _DEFECTS:
        return KafkaRefused(f"{error.name()}: {error.str()}")
    return LogAway(f"{error.name()}: {error.str()}")


def code_of(error: VoltpayError) -> int | None:
    """The library's code behind one of our errors, if there is one."""
    cause = error.__cause__
    return cause.args[0].code() if isinstance(cause, KafkaException) else None


@contextmanager
def explained() -> Iterator[None]:
    """Raise what the library raises as one of our errors."""
    try:
        yield
    except KafkaException as error:
        raise translated(error.args[0]) from error


class Cluster:
    """One cluster, and the threads of a process in which calls to it may block."""

    def __init__(self, url: str, *, timeout_ms: int) -> None:
        self.config = config_of(url)
        self.timeout_ms = timeout_ms
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="kafka")
        self._admin: AdminClient | None = None
        self._asked: set[Future[Any]] = set()

    @property
    def admin(self) -> AdminClient:
        """A client for upkeep, made at the first use."""
        if self._admin is None:
            bounded = {"socket.timeout.ms": max(_SOCKET_MS_MIN, self.timeout_ms)}
            self._admin = AdminClient({**self.config, **bounded})
        return self._admin

    @property
    def answer_s(self) -> float:
        """How long one request may take: the first after a broker's death may be for nothing."""
        return self.timeout_ms / 2500

    async def run(self, call: Callable[[], T]) -> T:
        """What a call that blocks gives. Raises LogAway, LogNotPrepared, KafkaRefused."""
        with explained():
            return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    async def answers(self, ask: Callable[[], Mapping[Any, "Future[T]"]]) -> dict[Any, T]:
        """What all futures of one request give, by what they are about; asked as `settled` is."""
        return await self.settled(lambda: self._results_of(ask()))

    async def settled(self, call: Callable[[], T]) -> T:
        """What a call that blocks gives.

        Leaders and coordinators that are just being chosen are asked again.
        """
        clock = asyncio.get_running_loop().time
        ends_at = clock() + self.timeout_ms / 1000
        while True:
            try:
                return await self.run(call)
            except LogAway as error:
                if code_of(error) not in _BEING_CHOSEN or clock() >= ends_at:
                    raise
                await self.run(self._look_again)
            await asyncio.sleep(_AGAIN_S)

    def _results_of(self, asked: Mapping[Any, "Future[T]"]) -> dict[Any, T]:
        bound_s = 2 * self.timeout_ms / 1000
        for future in asked.values():
            self._asked.add(future)
            future.add_done_callback(self._asked.discard)
        try:
            return {about: future.result(bound_s) for about, future in asked.items()}
        except TimeoutError as error:
            raise LogAway(f"no answer within {bound_s:.0f} s") from error

    def _look_again(self) -> None:
        """Learn who leads now: the client would go on with what it knew, for minutes."""
        with suppress(KafkaException):
            self.admin.list_topics(timeout=_AGAIN_S * 10)

    def close(self) -> None:
        """End the threads, without waiting for a call that hangs.

        Requests for upkeep are waited for: the library crashes a process that drops its client
        while it has one under way.
        """
        self._threads.shutdown(wait=False, cancel_futures=True)
        wait(set(self._asked), timeout=2 * self.timeout_ms / 1000)
