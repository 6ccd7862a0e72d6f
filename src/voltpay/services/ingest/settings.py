"""Settings of ingest."""

from pydantic import BaseModel, ConfigDict, Field


class IngestSettings(BaseModel):
    """Bounds of accepting."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    body_bytes_max: int = Field(16_384, ge=1_024, le=1_048_576, description="Largest body, bytes")
    body_timeout_ms: int = Field(
        10_000, ge=100, le=120_000, description="How long a client may take to send a body"
    )
    backlog_max: int = Field(
        500_000, ge=100, description="Accepted and not yet routed; above it new ones get 503"
    )
    waiting_max: int = Field(
        4_096, ge=16, le=100_000, description="Requests that wait for their append at once"
    )
    group_max: int = Field(256, ge=1, le=4_096, description="Payments of one append")
