"""Settings of a log on Kafka."""

from pydantic import BaseModel, ConfigDict, Field, model_validator

_NAME: str = r"^[a-zA-Z0-9._-]{0,80}$"


class KafkaSettings(BaseModel):
    """How topics are made, and who this process is to the cluster's groups."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    replication: int = Field(3, ge=1, le=15, description="On how many brokers a record stands")
    in_sync_min: int = Field(
        2, ge=1, le=15, description="On how many at least before it is confirmed"
    )
    prefix: str = Field("", pattern=_NAME, description="Before the names of topics and groups")
    member: str = Field(
        "",
        pattern=_NAME,
        description="This process's own name in its groups, kept over a restart; empty: none",
    )
    flush_ms: int = Field(
        10_000, ge=0, le=240_000, description="How long partitions that go wait for their work"
    )
    facts_kept_h: int = Field(
        24, ge=0, description="Hours for which facts are kept, though all have read them"
    )

    @model_validator(mode="after")
    def _bounds_are_in_order(self) -> "KafkaSettings":
        if self.in_sync_min > self.replication:
            raise ValueError("in_sync_min is above replication")
        return self
