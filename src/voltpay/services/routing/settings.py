"""Settings of routing, with units and bounds."""

from pydantic import BaseModel, ConfigDict, Field


class BreakerSettings(BaseModel):
    """When a processor's breaker opens, and for how long."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    failures_in_row: int = Field(
        default=5, ge=1, le=1000, description="Consecutive timeouts and 5xx that open it."
    )
    failures_share: float = Field(
        default=0.5, gt=0, le=1, description="Share of failed calls in the window that opens it."
    )
    calls_min: int = Field(
        default=20, ge=1, description="Calls in the window before the share counts."
    )
    window_ms: int = Field(
        default=10_000, ge=100, le=600_000, description="The window of the share."
    )
    pause_ms: int = Field(
        default=500, ge=10, le=60_000, description="First pause; each opening in a row doubles it."
    )
    pause_max_ms: int = Field(default=8_000, ge=10, le=600_000, description="The longest pause.")


class LaneSettings(BaseModel):
    """How many calls a processor may hold at once, and what counts as slow."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sockets_max: int = Field(
        default=200, ge=8, le=10_000, description="Connections to all processors together."
    )
    limit_start: int = Field(
        default=16, ge=1, le=1000, description="Concurrency that a lane starts with."
    )
    limit_min: int = Field(
        default=4, ge=1, le=1000, description="Concurrency that a lane never goes below."
    )
    slow_ms: int = Field(
        default=1_000,
        ge=1,
        le=60_000,
        description="An expected answer later than this is slow: half of the usual charge timeout,"
        " so that a slowdown is seen before the first timeout.",
    )
    ahead_ms: int = Field(
        default=50,
        ge=0,
        le=1_000,
        description="Payments are held ahead of their charge, as many as a lane works off in this.",
    )
    latency_fresh_ms: int = Field(
        default=5_000, ge=100, le=600_000, description="How long a measured latency is believed."
    )
    health_fresh_ms: int = Field(
        default=16_000, ge=1_000, le=600_000, description="How long a health answer is believed."
    )
    charge_timeout_min_ms: int = Field(
        default=2_000,
        ge=10,
        le=600_000,
        description="A charge waits for twice the expected latency, but not less than this, and"
        " not longer than the processor's own charge_timeout_ms.",
    )


class ResolveSettings(BaseModel):
    """How unknown outcomes are asked for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    every_ms: int = Field(default=200, ge=10, le=60_000, description="Pause between two rounds.")
    calls_max: int = Field(
        default=16, ge=1, le=100, description="Connections a processor that the resolver may use."
    )
    find_timeout_ms: int = Field(
        default=2_000, ge=10, le=60_000, description="Bound of one question."
    )
    ask_first_ms: int = Field(
        default=250, ge=1, le=60_000, description="Delay before the first question."
    )
    ask_max_ms: int = Field(
        default=5_000, ge=10, le=600_000, description="Longest delay between two."
    )
    repeats_max: int = Field(
        default=3, ge=0, le=100, description="Repeats of a charge whose answers may stay uncertain."
    )
    foreign_grace_ms: int = Field(
        default=5_000,
        ge=0,
        le=600_000,
        description="How long a question that is due is left to the process that knows it.",
    )


class SweepSettings(BaseModel):
    """How settled attempts that never reached the ledger are published again."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    every_ms: int = Field(
        default=5_000, ge=100, le=600_000, description="Pause between two rounds."
    )
    after_ms: int = Field(
        default=30_000,
        ge=100,
        le=86_400_000,
        description="Age of a settled attempt that is looked at.",
    )
    batch: int = Field(default=200, ge=1, le=10_000, description="Attempts a batch.")


class ProbeSettings(BaseModel):
    """How often processors are asked for their health, over all processes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    every_ms: int = Field(default=1_000, ge=10, le=60_000, description="Pause between two rounds.")
    interval_ms: int = Field(
        default=7_600,
        ge=10,
        le=600_000,
        description="Least time between two claims of a call to one processor: what it allows,"
        " 5 s, and late_ms and timeout_ms, within which a claimed call may reach it.",
    )
    late_ms: int = Field(
        default=400, ge=1, le=60_000, description="A call that starts later than this is not made."
    )
    timeout_ms: int = Field(default=2_000, ge=10, le=60_000, description="Bound of one call.")


class DispatchSettings(BaseModel):
    """How payments are taken from the log."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    workers_min: int = Field(default=2, ge=1, le=64, description="Workers while little waits.")
    workers_max: int = Field(default=3, ge=1, le=64, description="Workers while much waits.")
    take_min: int = Field(default=10, ge=1, le=200, description="Payments a worker waits room for.")
    take_max: int = Field(
        default=200, ge=1, le=1_000, description="Payments a worker takes at once."
    )
    pace_ms: int = Field(
        default=10,
        ge=0,
        le=1_000,
        description="A worker that found little looks again, and outcomes are written again, no"
        " sooner than this.",
    )
    backlog_high: int = Field(default=200, ge=1, description="Waiting, above which one more works.")
    backlog_low: int = Field(default=20, ge=0, description="Waiting, below which one less works.")
    held_min: int = Field(
        default=48,
        ge=1,
        le=10_000,
        description="Payments that may be held while accepting waits for a core of this machine.",
    )
    deferred_delay_ms: int = Field(
        default=1_000, ge=10, le=60_000, description="How long a deferred payment waits."
    )


class RoutingSettings(BaseModel):
    """All settings of routing."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    lease_ms: int = Field(
        default=1_000,
        ge=0,
        le=600_000,
        description="What an attempt's lease adds to twice its charge timeout.",
    )
    patience_ms: int = Field(
        default=30_000,
        ge=0,
        le=86_400_000,
        description="Within this after acceptance a payment prefers a processor that answers in"
        " time to a cheaper one.",
    )
    retry_share: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="Retries at another processor, as a share of all charges.",
    )
    groups_in_flight: int = Field(
        default=2, ge=1, le=16, description="Groups of attempts written at the same time, each way."
    )
    dispatch: DispatchSettings = DispatchSettings()
    breaker: BreakerSettings = BreakerSettings()
    lane: LaneSettings = LaneSettings()
    resolve: ResolveSettings = ResolveSettings()
    sweep: SweepSettings = SweepSettings()
    probe: ProbeSettings = ProbeSettings()
