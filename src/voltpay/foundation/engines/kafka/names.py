"""What topics and groups are called on the cluster."""


class Names:
    """`prefix` stands before all of them, where several installations share a cluster."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    def topic(self, topic: str) -> str:
        """A topic."""
        return f"{self._prefix}{topic}"

    def group(self, topic: str, group: str) -> str:
        """One group a topic: who joins on one does not disturb who reads another."""
        return f"{self._prefix}{group}.{topic}"
