"""What every engine of the log may raise, whichever it is."""

from voltpay.core.errors import Broken, Unavailable


class LogAway(Unavailable):
    """The server that holds the log cannot be reached, is loading, or cannot write."""

    slug = "log-away"
    title = "The log is away"


class ClaimsAway(LogAway):
    """The server of the claims beside a log cannot be reached, or does not answer in time."""


class LogNotPrepared(Unavailable):
    """The log has no groups or partitions yet: `voltpay migrate` makes them."""

    slug = "log-not-prepared"
    title = "The log is not prepared"


class LogSlow(Unavailable):
    """The log did not answer in time. What was sent may be on disk: the same again tells."""

    slug = "log-slow"
    title = "The log is slow"


class LogFull(Unavailable):
    """The log is at its memory bound: nothing new is accepted, what is on it is carried on."""

    slug = "log-full"
    title = "The log is full"


class UnknownTopic(Broken):
    """A topic that the log was not set up with."""
