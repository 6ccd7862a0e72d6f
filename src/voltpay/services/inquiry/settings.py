"""Settings of inquiry."""

from pydantic import BaseModel, ConfigDict, Field


class InquirySettings(BaseModel):
    """Bounds of projecting and of answering."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    batch_max: int = Field(500, ge=1, le=10_000, description="Facts of one projection batch")
    pace_ms: int = Field(
        25, ge=0, le=1_000, description="Least time from one batch to the next, unless it was full"
    )
    connections_max: int = Field(
        8, ge=1, le=200, description="Connections of one process for inquiries"
    )
    questions_at_once_max: int = Field(
        64, ge=1, le=10_000, description="Questions that may be at the database at once"
    )
    source_timeout_ms: int = Field(
        2_500, ge=10, le=60_000, description="How long a store is asked where a payment is"
    )
    account_ttl_ms: int = Field(
        60_000, ge=100, le=86_400_000, description="How long an account's answers are cached"
    )
    payment_ttl_ms: int = Field(
        60_000, ge=100, le=86_400_000, description="How long a posted payment is cached"
    )
    summary_wait_max_ms: int = Field(
        500, ge=0, le=500, description="How long a summary waits for the projection"
    )
    summary_poll_ms: int = Field(
        10, ge=1, le=250, description="Pause between two looks at the projection's progress"
    )
    replica_lag_max_ms: int = Field(
        1_000, ge=50, le=600_000, description="A standby that is later than this is left out"
    )
    replica_wait_max_ms: int = Field(
        50, ge=0, le=5_000, description="How long a question waits for a standby to be far enough"
    )
    replica_look_ms: int = Field(
        250, ge=10, le=10_000, description="Pause between two looks at the standbys"
    )
    rebuild_margin_ms: int = Field(
        60_000,
        ge=0,
        le=86_400_000,
        description="How far a rebuild's catch-up reaches behind its beginning",
    )
