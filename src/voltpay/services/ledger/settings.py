"""Settings of the ledger."""

from pydantic import BaseModel, ConfigDict, Field


class LedgerSettings(BaseModel):
    """Batches, timeouts, and how long the ledger remembers what it posted."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    batch_max: int = Field(1_000, ge=1, le=10_000, description="Settled payments a transaction")
    pace_ms: int = Field(
        25, ge=0, le=1_000, description="Least time from one batch to the next, unless it was full"
    )
    statement_timeout_ms: int = Field(
        10_000, ge=1_000, le=120_000, description="Bound of one statement of the writer"
    )
    scan_timeout_ms: int = Field(
        600_000,
        ge=10_000,
        le=7_200_000,
        description="Bound of reading whole days: facts for a rebuild, repeats of a cleaned day",
    )
    idempotency_days: int = Field(
        7, ge=1, le=366, description="Days for which a repeat is known without reading its day"
    )
    days_ahead: int = Field(3, ge=1, le=30, description="Days whose partitions are made ahead")
    prepare_every_ms: int = Field(
        1_800_000, ge=1_000, description="How often partitions are made ahead"
    )
    clean_every_ms: int = Field(
        21_600_000, ge=1_000, description="How often what is older than a week is looked for"
    )
