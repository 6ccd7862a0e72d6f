"""Logs: JSON lines, one form for Voltpay and the libraries that it uses."""

import logging
import sys
from pathlib import Path

import msgspec
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger


def configure_logging(level: str, role: str, *, path: Path | None = None) -> None:
    """JSON lines for all that this process logs, to stderr or appended to a file.

    UTC times, what is bound to the context, and the role in each. Libraries that log through the
    standard library get the same form, from WARNING on.
    """
    threshold = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _with_role(role),
        structlog.processors.format_exc_info,
    ]
    render = structlog.processors.JSONRenderer(serializer=_json)
    out = path.open("ab", buffering=0) if path else sys.stderr.buffer
    structlog.configure(
        processors=[*shared, render],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.BytesLoggerFactory(out),
        cache_logger_on_first_use=False,
    )
    _configure_standard_library(shared, max(threshold, logging.WARNING), path)


def _configure_standard_library(shared: list[Processor], threshold: int, path: Path | None) -> None:
    handler = logging.FileHandler(path) if path else logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(serializer=_json_text),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=threshold, force=True)


def _with_role(role: str) -> Processor:
    def add(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event["role"] = role
        return event

    return add


def _json(value: object, **_: object) -> bytes:
    return msgspec.json.encode(value, enc_hook=str)


def _json_text(value: object, **_: object) -> str:
    return _json(value).decode()
