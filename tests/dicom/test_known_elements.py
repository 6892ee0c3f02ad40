"""What is known from other objects never changes what is read of one."""

from __future__ import annotations

from pathlib import Path

import pytest

from archive.dicom.errors import ArchiveError
from archive.dicom.instance import Instance
from archive.dicom.reading import metadata
from archive.dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN
from dicom_files import split
from encoded_bytes import explicit, identified, item, read


def outcome(data_set: bytes, uid: str) -> Instance | str:
    try:
        return read(data_set, uid)
    except ArchiveError as failure:
        return f"{type(failure).__name__} {failure}"


def cold(data_set: bytes, uid: str) -> Instance | str:
    metadata._KNOWN.clear()
    return outcome(data_set, uid)


def test_every_file_is_read_the_same_after_all_others(pydicom_data: Path) -> None:
    """One after the other, forwards and backwards, without forgetting, as a server does."""
    objects = []
    for folder in ("test_files", "charset_files"):
        for path in sorted((pydicom_data / folder).glob("*.dcm")):
            try:
                meta, data_set = split(path.read_bytes())
            except ArchiveError:
                continue
            objects.append((data_set, meta.transfer_syntax_uid))
    assert len(objects) > 80
    alone = [cold(*one) for one in objects]
    assert [outcome(*one) for one in objects] == alone
    assert [outcome(*one) for one in reversed(objects)] == alone[::-1]
    assert metadata._KNOWN


@pytest.mark.parametrize(
    ("sets", "name"),
    [(b"ISO_IR 100", "M\u00fcller"), (b"ISO_IR 144", "M\u045cller"), (b"ISO_IR 192 ", "M\ufffdFCller")],
)
def test_the_same_bytes_in_another_character_set(sets: bytes, name: str) -> None:
    """Whichever came before: the text is what these bytes mean here."""
    metadata._KNOWN.clear()
    element = explicit(0x00100010, "PN", "M\u00fcller".encode("latin-1"))
    others = (b"ISO_IR 100", b"ISO_IR 144", b"ISO_IR 192 ")
    for one in (*others, sets):
        found = read(identified(explicit(0x00080005, "CS", one.ljust(10)), element))
    assert name in found.attributes[0x00100010].values[0]


def test_an_element_that_reaches_past_its_item_is_not_believed() -> None:
    """Even if it is known, and all its bytes are there."""
    metadata._KNOWN.clear()
    known = explicit(0x00400009, "SH", b"STEP 1")
    sequence = explicit(0x00400275, "SQ", item(known))
    assert isinstance(outcome(identified(after=sequence), EXPLICIT_VR_LITTLE_ENDIAN), Instance)
    sequence = explicit(0x00400275, "SQ", item(known, len(known) - 2))
    told = outcome(identified(after=sequence), EXPLICIT_VR_LITTLE_ENDIAN)
    assert told == cold(identified(after=sequence), EXPLICIT_VR_LITTLE_ENDIAN)
    assert "reaches past" in str(told)


def test_what_is_known_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    metadata._KNOWN.clear()
    monkeypatch.setattr(metadata, "_MOST_KNOWN", 50)
    for number in range(300):
        read(identified(after=explicit(0x00400009, "SH", b"%06d" % number)))
    assert all(len(known) <= 50 for known in metadata._KNOWN.values())
