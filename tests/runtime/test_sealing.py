"""Sealing: opened by the same secret for the same payment, and by nothing else."""

import pytest

from voltpay.core.payment import Sealed
from voltpay.foundation.runtime.sealing import CannotOpen, Sealer, fields_that_differ

SECRET = b"s" * 32
OTHER = b"t" * 32
PLAIN = b'{"email":"anna@example.org"}'


def test_what_is_sealed_opens_to_the_same_and_does_not_show_it():
    sealer = Sealer(SECRET)
    sealed = sealer.seal(PLAIN, b"payment-1")
    assert sealer.open(sealed, b"payment-1") == PLAIN
    assert Sealer(SECRET).open(sealed, b"payment-1") == PLAIN
    assert b"anna" not in sealed


def test_the_same_is_never_sealed_to_the_same_bytes():
    sealer = Sealer(SECRET)
    assert len({sealer.seal(PLAIN, b"payment-1") for _ in range(100)}) == 100


def test_another_secret_or_another_payment_does_not_open_it():
    sealed = Sealer(SECRET).seal(PLAIN, b"payment-1")
    with pytest.raises(CannotOpen):
        Sealer(OTHER).open(sealed, b"payment-1")
    with pytest.raises(CannotOpen):
        Sealer(SECRET).open(sealed, b"payment-2")


def test_no_byte_of_it_can_be_changed_or_cut_off():
    sealer = Sealer(SECRET)
    sealed = sealer.seal(PLAIN, b"payment-1")
    for at in range(len(sealed)):
        altered = bytearray(sealed)
        altered[at] ^= 1
        with pytest.raises(CannotOpen):
            sealer.open(Sealed(bytes(altered)), b"payment-1")
        with pytest.raises(CannotOpen):
            sealer.open(Sealed(sealed[:at]), b"payment-1")


def test_a_fingerprint_tells_which_fields_differ():
    sealer = Sealer(SECRET)
    one = sealer.fingerprint([b"1990", b"EUR", b"alice"])
    assert one == Sealer(SECRET).fingerprint([b"1990", b"EUR", b"alice"])
    other = sealer.fingerprint([b"1991", b"EUR", b"bob"])
    names = ("amount", "currency", "accountId")
    assert fields_that_differ(one, one, names) == []
    assert fields_that_differ(one, other, names) == ["amount", "accountId"]


def test_a_fingerprint_does_not_run_fields_together():
    sealer = Sealer(SECRET)
    assert sealer.fingerprint([b"ab", b"c"]) != sealer.fingerprint([b"a", b"bc"])


def test_nobody_without_the_secret_can_guess_at_fingerprints():
    assert Sealer(SECRET).fingerprint([b"1990"]) != Sealer(OTHER).fingerprint([b"1990"])
