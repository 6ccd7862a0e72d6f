"""What makes a client a member of a group, and how the cluster's groups are spoken to."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

_SESSION_MS: Final = 10_000


@dataclass(frozen=True)
class Membership:
    """A group on a topic, which others call `topic`, the cluster `cluster_topic`.

    With a `static_name` of its own a process that comes back within the session's time finds its
    partitions again. Partitions that go wait up to `flush_s` for what was taken of them.
    """

    topic: str
    cluster_topic: str
    group: str
    static_name: str
    flush_s: float


class GroupProtocol:
    """Which protocol of groups the cluster speaks: KIP-848, until it says that it does not."""

    def __init__(self) -> None:
        self.is_classic = False

    def config_of(self, config: Mapping[str, Any], member: Membership) -> dict[str, Any]:
        """What a client is told."""
        made = {
            **config,
            "group.id": member.group,
            "group.protocol": "classic" if self.is_classic else "consumer",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "earliest",
            "fetch.error.backoff.ms": 100,
            "queued.max.messages.kbytes": 16_384,
            "topic.metadata.refresh.interval.ms": 10_000,
        }
        if self.is_classic:
            made["partition.assignment.strategy"] = "cooperative-sticky"
            made["session.timeout.ms"] = _SESSION_MS
        if member.static_name:
            made["group.instance.id"] = member.static_name
        return made
