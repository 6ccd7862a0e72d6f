"""The three roots of every error. Concrete errors stand in the file that raises them."""

from typing import ClassVar


class VoltpayError(Exception):
    """Root of all errors that Voltpay raises on purpose."""


class Rejected(VoltpayError):
    """The caller's fault: answered with a 4xx problem, never retried.

    `slug` ends the problem's `type`, `status` is its HTTP status, `title` never varies.
    """

    slug: ClassVar[str] = "rejected"
    status: ClassVar[int] = 400
    title: ClassVar[str] = "The request cannot be accepted"

    def __init__(self, detail: str, *, fields: tuple[str, ...] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.fields = fields


class Unavailable(VoltpayError):
    """The world's fault: retried with backoff, answered with 503, never counted, never buried."""

    slug: ClassVar[str] = "unavailable"
    status: ClassVar[int] = 503
    title: ClassVar[str] = "Something that is needed for the answer is away"

    def __init__(self, detail: str, *, retry_after_s: int = 1) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after_s = retry_after_s


class Broken(VoltpayError):
    """Ours: the message is isolated, counted, at last buried, and someone is told."""


class Misconfigured(VoltpayError):
    """Voltpay cannot start or go on as it is set up: one line, the mend, exit code 2."""

    def __init__(self, wrong: str, mend: str) -> None:
        super().__init__(f"{wrong}: {mend}")
        self.wrong = wrong
        self.mend = mend
