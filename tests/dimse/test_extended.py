"""SOP Class Extended Negotiation is answered byte by byte (PS3.4 C.5.1.1, C.5.2.1, B.3.1; dimse.md 1.1 row)."""

from __future__ import annotations

import pytest

from archive.dimse.extended import Agreed, agreed, answer

STUDY_ROOT_FIND, STUDY_ROOT_MOVE = "1.2.840.10008.5.1.4.1.2.2.1", "1.2.840.10008.5.1.4.1.2.2.2"
PATIENT_STUDY_FIND, PATIENT_ROOT_GET = "1.2.840.10008.5.1.4.1.2.3.1", "1.2.840.10008.5.1.4.1.2.1.3"
VERIFICATION, CT = "1.2.840.10008.1.1", "1.2.840.10008.5.1.4.1.1.2"


@pytest.mark.parametrize(
    ("sop_class", "asked", "expected"),
    [
        (STUDY_ROOT_FIND, (1,), (1,)),
        (STUDY_ROOT_FIND, (0, 0, 0), (0, 0, 0)),
        (STUDY_ROOT_FIND, (0, 1, 1), (0, 1, 1)),
        (STUDY_ROOT_FIND, (1, 1, 1, 1), (1, 1, 1, 1)),
        (STUDY_ROOT_FIND, (1, 1, 1, 1, 1, 1, 1), (1, 1, 1, 1, 0, 1, 1)),
        (STUDY_ROOT_FIND, (1, 1, 1, 1, 1, 1, 1, 1, 1), (1, 1, 1, 1, 0, 1, 1)),
        (STUDY_ROOT_FIND, (2, 255, 1), (0, 0, 1)),
        (PATIENT_STUDY_FIND, (1, 1), (1, 1)),
        (STUDY_ROOT_MOVE, (1, 1), (1, 0)),
        (PATIENT_ROOT_GET, (1,), (1,)),
        (CT, (0, 0, 0, 0, 2, 0), (2, 0, 3, 0, 0, 0)),
    ],
)
def test_what_is_asked_for_and_can_be_done(
    sop_class: str, asked: tuple[int, ...], expected: tuple[int, ...]
) -> None:
    assert answer(sop_class, bytes(asked)) == bytes(expected)


@pytest.mark.parametrize(
    ("sop_class", "asked"),
    [(STUDY_ROOT_FIND, b""), (VERIFICATION, b"\x01"), ("1.2.840.10008.5.1.1.9", b"\x01")],
)
def test_no_answer_is_the_baseline(sop_class: str, asked: bytes) -> None:
    assert answer(sop_class, asked) is None


def test_where_attributes_are_coerced_bits_are_not_preserved() -> None:
    assert answer(CT, b"\x02", coerces=True) == bytes((2, 0, 1, 0, 1, 0))


def test_what_was_agreed_upon() -> None:
    assert agreed(None) == Agreed()
    assert agreed(bytes((1, 0, 1))) == Agreed(relational=True, fuzzy=True)
    everything = agreed(answer(STUDY_ROOT_FIND, b"\x01" * 7))
    assert everything == Agreed(
        relational=True, combined=True, fuzzy=True, timezone=True, empty=True, multiple=True
    )
