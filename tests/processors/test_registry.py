"""Adapters by name, and the settings of a processor."""

from decimal import Decimal

import pytest
from pydantic import ValidationError

from voltpay.core.errors import Misconfigured
from voltpay.processors import registry
from voltpay.processors.http import HttpProcessor
from voltpay.processors.settings import ProcessorSettings


def settings(**changes: object) -> ProcessorSettings:
    values = {"name": "default", "url": "http://127.0.0.1:8001", "fee": "0.05"} | changes
    return ProcessorSettings.model_validate(values)


def test_the_http_adapter_is_found_by_its_entry_point() -> None:
    processor = registry.make(settings())

    assert isinstance(processor, HttpProcessor)
    assert (processor.name, processor.currencies) == ("default", {"EUR"})


def test_an_unknown_adapter_is_refused_naming_those_that_exist() -> None:
    with pytest.raises(Misconfigured) as refused:
        registry.make(settings(adapter="pigeon"))

    assert "there is no adapter pigeon" in refused.value.wrong
    assert "http" in refused.value.mend


def test_settings_are_frozen_exact_and_have_bounds() -> None:
    made = settings(url="https://pay.example/v1/")

    assert made.url == "https://pay.example/v1"
    assert made.fee == Decimal("0.05")
    assert made.calls_max < made.connections_max
    with pytest.raises(ValidationError):
        made.name = "other"  # type: ignore[misc]


def test_the_timeout_follows_a_short_processing_time_unless_it_is_set() -> None:
    assert settings(max_processing_ms=500).charge_timeout_ms == 500
    with pytest.raises(ValidationError, match="charge_timeout_ms"):
        settings(max_processing_ms=500, charge_timeout_ms=501)


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "Default"},
        {"name": ""},
        {"name": "a" * 33},
        {"name": "a b"},
        {"url": "ftp://x"},
        {"url": "127.0.0.1:8001"},
        {"url": "http://x/?a=b"},
        {"fee": "1.01"},
        {"fee": "-0.01"},
        {"fee": "NaN"},
        {"currency": "ZZZ"},
        {"connections_max": 0},
        {"connections_max": 101},
        {"colour": "red"},
    ],
)
def test_settings_out_of_bounds_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        settings(**changes)


def test_one_connection_still_carries_one_call() -> None:
    assert settings(connections_max=1).calls_max == 1
