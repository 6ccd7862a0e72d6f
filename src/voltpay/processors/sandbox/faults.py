"""Faults on demand: which one a payment meets is a function of a seed and the payment's id.

So a run can be repeated, and the repeat of a payment meets what is documented here. Faults come
after the delay, the failure flag and the duplicate check.
"""

from collections import Counter
from collections.abc import Mapping
from enum import StrEnum
from hashlib import blake2b
from itertools import accumulate
from typing import Final

from msgspec import Struct, field


class Fault(StrEnum):
    """What can happen to a payment. Where one is inserted, its repeat is answered 422.

    `false_no`, `amount_booked_wrong_silently` and `absent_first` with a lost answer break the
    contract: nobody can keep his books equal to such a processor's, but a reconciliation tells.
    """

    LATE = "late"
    """Inserted, answered 200 only `answer_after_insert_ms` later."""
    RESET = "reset"
    """Inserted, then the connection is reset."""
    RESET_BEFORE_INSERT = "reset_before_insert"
    """Not inserted, the connection is reset; the repeat is taken."""
    ERROR_AFTER_INSERT = "error_after_insert"
    """Inserted, answered 500 with a body: no definite no."""
    FALSE_NO = "false_no"
    """Inserted, answered 500 with an empty body, which by contract says that it was not."""
    GARBAGE = "garbage"
    """Inserted, answered 200 with a body that is no JSON."""
    AMOUNT_ANSWERED_WRONG = "amount_answered_wrong"
    """Inserted as asked, answered with a higher amount."""
    AMOUNT_BOOKED_WRONG = "amount_booked_wrong"
    """Inserted with a higher amount, answered with that amount."""
    AMOUNT_BOOKED_WRONG_SILENTLY = "amount_booked_wrong_silently"
    """Inserted with a higher amount, answered as if nothing was."""
    DECLINE = "decline"
    """Not inserted, answered 402 with a reason; the repeat is declined again."""
    FALSE_DUPLICATE = "false_duplicate"
    """Not inserted, the first request is answered 422; the repeat is taken."""
    ABSENT_FIRST = "absent_first"
    """The first GET of an inserted payment is answered 404. Drawn apart from all others."""
    HEALTH_LIES = "health_lies"
    """A health answer says the opposite. Drawn for each answer, by its number."""


_DRAWN_APART: Final = {Fault.ABSENT_FIRST, Fault.HEALTH_LIES}
ONCE: Final = {Fault.RESET_BEFORE_INSERT, Fault.FALSE_DUPLICATE}
"""Faults that only the first request of a payment meets, as long as the process lives."""


class FaultSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Which share of payments, 0 to 1, meets which fault. No seed: one is drawn and told."""

    answer_after_insert_ms: int = 1000
    share: dict[Fault, float] = field(default_factory=dict)
    seed: int | None = None

    def wrong(self) -> str:
        """What is wrong with them; empty if nothing is."""
        if not 0 <= self.answer_after_insert_ms <= 600_000:
            return "answer_after_insert_ms is not within 0 and 600000"
        if not all(0 <= share <= 1 for share in self.share.values()):
            return "a share is not within 0 and 1"
        if sum(share for kind, share in self.share.items() if kind not in _DRAWN_APART) > 1 + 1e-9:
            return "the shares are more than 1 together"
        return ""


class FaultPlan:
    """Decides for each payment, and keeps count of the faults that were met."""

    def __init__(self) -> None:
        self.counts: Counter[Fault] = Counter()
        self._met: set[tuple[Fault, bytes]] = set()
        self.change(FaultSettings(), 0)

    def change(self, settings: FaultSettings, seed: int) -> None:
        """Go on with other settings and this seed; counts stay."""
        self.seed = seed
        self.share: Mapping[Fault, float] = settings.share
        self.answer_after_insert_ms = settings.answer_after_insert_ms
        kinds = [kind for kind in Fault if settings.share.get(kind) and kind not in _DRAWN_APART]
        bounds = accumulate(settings.share[kind] for kind in kinds)
        self._bounds = list(zip(bounds, kinds, strict=True))

    def forget(self) -> None:
        """Begin counting anew; every payment is new again. Settings stay."""
        self.counts.clear()
        self._met.clear()

    @property
    def makes_late(self) -> bool:
        """Whether some answers come later than their insert."""
        return self.share.get(Fault.LATE, 0) > 0

    def of_payment(self, payment_id: bytes) -> Fault | None:
        """The fault of a charge; counted, and noted if it strikes only once."""
        if not self._bounds:
            return None
        drawn = self._draw(b"charge", payment_id)
        kind = next((kind for bound, kind in self._bounds if drawn < bound), None)
        if kind is None or (kind in ONCE and not self._first(kind, payment_id)):
            return None
        self.counts[kind] += 1
        return kind

    def hides(self, payment_id: bytes) -> bool:
        """Whether this question for an inserted payment is answered 404; counted."""
        return (
            self._strikes(Fault.ABSENT_FIRST, payment_id)
            and self._first(Fault.ABSENT_FIRST, payment_id)
            and self._counted(Fault.ABSENT_FIRST)
        )

    def lies(self, answer_number: int) -> bool:
        """Whether this answer about health is the opposite of the truth; counted."""
        number = answer_number.to_bytes(8, "big")
        return self._strikes(Fault.HEALTH_LIES, number) and self._counted(Fault.HEALTH_LIES)

    def _strikes(self, kind: Fault, what: bytes) -> bool:
        share = self.share.get(kind, 0)
        return share > 0 and self._draw(kind.encode(), what) < share

    def _counted(self, kind: Fault) -> bool:
        self.counts[kind] += 1
        return True

    def _first(self, kind: Fault, payment_id: bytes) -> bool:
        if (kind, payment_id) in self._met:
            return False
        self._met.add((kind, payment_id))
        return True

    def _draw(self, purpose: bytes, what: bytes) -> float:
        """Uniform in [0, 1), the same for the same seed, purpose and id."""
        digest = blake2b(b"%d %s " % (self.seed, purpose) + what, digest_size=8).digest()
        return int.from_bytes(digest, "big") / 2**64
