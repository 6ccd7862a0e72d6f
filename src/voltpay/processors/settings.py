"""The settings of one processor."""

from decimal import Decimal
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from voltpay.core.money import CURRENCIES

NAME: Final = r"^[a-z][a-z0-9_-]{0,31}$"


class ProcessorSettings(BaseModel):
    """One processor: which adapter speaks to it, where it is, what it costs, how long it takes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=NAME, description="As it appears in summaries and attempts")
    adapter: str = Field("http", description="An entry point of the group voltpay.processors")
    url: str = Field(
        pattern=r"^https?://[^\s?#]+$", max_length=512, description="Where it listens, http(s)://…"
    )
    fee: Decimal = Field(ge=0, le=1, description="Its fee as a fraction of the amount, as in 0.05")
    currency: str = Field("EUR", description="ISO 4217 code of the payments that it takes")
    max_processing_ms: int = Field(
        30_000,
        ge=100,
        le=86_400_000,
        description="After this an absent payment is proven not to run",
    )
    charge_timeout_ms: int = Field(
        default_factory=lambda before: min(10_000, before.get("max_processing_ms", 10_000)),
        ge=50,
        le=300_000,
        description="The longest wait for the answer to a charge; at most max_processing_ms",
    )
    connections_max: int = Field(
        100, ge=1, le=100, description="Sockets at most; nine tenths of them carry calls"
    )

    @field_validator("url")
    @classmethod
    def _without_last_slash(cls, url: str) -> str:
        return url.rstrip("/")

    @field_validator("currency")
    @classmethod
    def _is_currency(cls, code: str) -> str:
        if code not in CURRENCIES:
            raise ValueError("no ISO 4217 code")
        return code

    @model_validator(mode="after")
    def _timeout_is_within_processing(self) -> "ProcessorSettings":
        if self.charge_timeout_ms > self.max_processing_ms:
            raise ValueError("charge_timeout_ms is above max_processing_ms")
        return self

    @property
    def calls_max(self) -> int:
        """How many calls may be under way at once.

        A tenth of the sockets is headroom: the pool may still be connecting while a connection
        that came back in time carries the call.
        """
        return max(1, self.connections_max * 9 // 10)
