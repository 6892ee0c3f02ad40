"""UIDs that are let in and UIDs that are ours."""

from __future__ import annotations

import pytest

from archive.dicom.errors import InvalidUID
from archive.dicom.identifiers import (
    IMPLEMENTATION_CLASS_UID,
    IMPLEMENTATION_VERSION_NAME,
    check_uid,
    tag_text,
)

TAG = 0x00080018


@pytest.mark.parametrize("uid", ["1", "1.2.840.10008", "0.0", "1.02.3", "1" * 64])
def test_these_are_let_in(uid: str) -> None:
    assert check_uid(uid, TAG) == uid


@pytest.mark.parametrize(
    "uid",
    [
        "",
        ".",
        "1.",
        ".1",
        "1..2",
        "../../etc/x",
        "/tmp/x",
        "1" * 65,
        "1.2\0",
        "1.2 ",
        "１.２",
        "1.2\n",
        "1.a",
        "-1",
        "1/2",
        "٣",
    ],
)
def test_these_are_not(uid: str) -> None:
    with pytest.raises(InvalidUID) as refused:
        check_uid(uid, TAG)
    assert refused.value.tag == TAG
    assert "(0008,0018)" in refused.value.reason
    assert not uid.strip(".1/") or uid not in refused.value.reason


def test_ours_are_allowed() -> None:
    assert check_uid(IMPLEMENTATION_CLASS_UID, 0) == IMPLEMENTATION_CLASS_UID
    assert 1 <= len(IMPLEMENTATION_VERSION_NAME) <= 16


def test_a_tag_is_written_as_in_the_standard() -> None:
    assert tag_text(0x7FE00010) == "(7FE0,0010)"
