"""Codes that change with time, by the vectors of RFC 6238, and codes for who has lost the device."""

from __future__ import annotations

import base64
from urllib.parse import parse_qs, urlsplit

import pytest

from archive.security import second_factor
from archive.security.second_factor import RECOVERY_CODES, STEP_SECONDS, step_of

SECRET = base64.b32encode(b"12345678901234567890").decode()
VECTORS = {
    59: "94287082",
    1111111109: "07081804",
    1111111111: "14050471",
    1234567890: "89005924",
    2000000000: "69279037",
    20000000000: "65353130",
}
"""RFC 6238 appendix B, SHA-1. Of eight digits the last six are the code of six (RFC 4226 5.3)."""


@pytest.mark.parametrize("moment", VECTORS)
def test_the_vectors_of_the_standard(moment: int) -> None:
    assert step_of(SECRET, VECTORS[moment][-6:], moment) == moment // STEP_SECONDS
    assert step_of(SECRET, VECTORS[moment], moment) is None


@pytest.mark.parametrize(("steps", "accepted"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_clocks_may_differ_by_a_step(steps: int, accepted: bool) -> None:
    """RFC 6238 6."""
    found = step_of(SECRET, VECTORS[1234567890][-6:], 1234567890 + steps * STEP_SECONDS)
    assert (found is not None) == accepted
    assert step_of(SECRET, VECTORS[59][-6:], 0) == 1  # no step is before the first


def test_no_step_counts_that_is_not_later_than_the_last() -> None:
    """RFC 6238 5.2."""
    now, code = 1234567890, VECTORS[1234567890][-6:]
    step = now // STEP_SECONDS
    assert step_of(SECRET, code, now, step - 1) == step
    assert step_of(SECRET, code, now, step) is None
    assert step_of(SECRET, code, now, step + 1) is None


@pytest.mark.parametrize("code", ["", "00592", "0059240", "００５９２４", "\0", "x" * 1000, "é"])
def test_what_is_no_code_is_refused(code: str) -> None:
    assert step_of(SECRET, code, 1234567890) is None


def test_people_divide_codes() -> None:
    assert step_of(SECRET, " 005 924 ", 1234567890) is not None
    assert second_factor.is_of_device("005 924")
    assert not second_factor.is_of_device("００５９２４")


def test_secrets_and_recovery_codes_are_long_and_never_the_same() -> None:
    secrets = {second_factor.new_factor() for _ in range(20)}
    assert len(secrets) == 20
    assert {len(base64.b32decode(secret)) for secret in secrets} == {20}
    codes = second_factor.new_recovery_codes()
    assert len(set(codes)) == RECOVERY_CODES
    assert {len(base64.b32decode(code.replace("-", "").upper())) for code in codes} == {10}
    assert not any(second_factor.is_of_device(code) for code in codes)


def test_a_recovery_code_is_the_same_however_it_is_typed() -> None:
    kept = second_factor.recovery_digest("abcd-efgh-ijkl-mnop")
    assert kept == second_factor.recovery_digest(" ABCDEFGH ijkl-mnop")
    assert kept != second_factor.recovery_digest("abcd-efgh-ijkl-mnoq")


def test_devices_read_whose_it_is() -> None:
    address = urlsplit(second_factor.address(SECRET, "ada & bob", "DICOM archive pacs.example"))
    assert (address.scheme, address.netloc) == ("otpauth", "totp")
    assert parse_qs(address.query)["secret"] == [SECRET]
    assert parse_qs(address.query)["issuer"] == ["DICOM archive pacs.example"]
