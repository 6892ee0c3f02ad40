"""What is known from other objects never changes what is read of one."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archive.dicom.errors import ArchiveError
from archive.dicom.instance import Instance
from archive.dicom.reading import known
from archive.dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN
from dicom_files import split
from encoded_bytes import SOP_CLASS, explicit, identified, item, read


def outcome(data_set: bytes, uid: str) -> Instance | str:
    try:
        return read(data_set, uid)
    except ArchiveError as failure:
        return f"{type(failure).__name__} {failure}"


def cold(data_set: bytes, uid: str) -> Instance | str:
    known.forget()
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
    assert any(one.runs for one in known._KNOWN.values())


@pytest.mark.parametrize(
    ("sets", "name"),
    [(b"ISO_IR 100", "M\u00fcller"), (b"ISO_IR 144", "M\u045cller"), (b"ISO_IR 192 ", "M\ufffdFCller")],
)
def test_the_same_bytes_in_another_character_set(sets: bytes, name: str) -> None:
    """Whichever came before: the text is what these bytes mean here."""
    known.forget()
    element = explicit(0x00100010, "PN", "M\u00fcller".encode("latin-1"))
    others = (b"ISO_IR 100", b"ISO_IR 144", b"ISO_IR 192 ")
    for one in (*others, sets):
        found = read(identified(explicit(0x00080005, "CS", one.ljust(10)), element))
    assert name in found.attributes[0x00100010].values[0]


def test_an_element_that_reaches_past_its_item_is_not_believed() -> None:
    """Even if it is known, and all its bytes are there."""
    known.forget()
    step = explicit(0x00400009, "SH", b"STEP 1")
    sequence = explicit(0x00400275, "SQ", item(step))
    assert isinstance(outcome(identified(after=sequence), EXPLICIT_VR_LITTLE_ENDIAN), Instance)
    sequence = explicit(0x00400275, "SQ", item(step, len(step) - 2))
    told = outcome(identified(after=sequence), EXPLICIT_VR_LITTLE_ENDIAN)
    assert told == cold(identified(after=sequence), EXPLICIT_VR_LITTLE_ENDIAN)
    assert "reaches past" in str(told)


def test_what_is_known_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    known.forget()
    monkeypatch.setattr(known, "MOST_KNOWN", 50)
    for number in range(300):
        read(identified(after=explicit(0x00400009, "SH", b"%06d" % number)))
    assert all(len(one.elements) <= 50 for one in known._KNOWN.values())


TAGS = (*range(0x00080050, 0x0008005C), *range(0x00100030, 0x0010003C), *range(0x00180080, 0x0018008C))
VALUES = (b"A ", b"B ", b"AB", b"ABCD", b"")
choice = st.tuples(st.sampled_from(TAGS), st.sampled_from(VALUES))
"""Of an element that stands otherwise than the others say."""


def a_data_set(others: list[tuple[int, bytes]], disorder: bool, cut: int) -> bytes:
    """Elements that are alike but for some, at the top level and in an item of each length."""
    values = dict.fromkeys(TAGS, b"A ") | dict(others)
    encoded = [explicit(tag, "SH", value) for tag, value in sorted(values.items(), reverse=disorder)]
    whole = b"".join(encoded)
    sequence = explicit(0x00400275, "SQ", item(whole[: len(whole) - cut], len(whole) - cut))
    return identified(after=whole + sequence) if disorder else SOP_CLASS + whole + identified() + sequence


data_sets = st.builds(
    a_data_set, st.lists(choice, max_size=3), st.booleans(), st.sampled_from((0, 0, 0, 10, 11, 100))
)


@given(st.lists(st.tuples(data_sets, st.sampled_from((0, 0, 7, 50, 333))), min_size=2, max_size=6))
def test_runs_of_elements_are_read_like_each_of_them(objects: list[tuple[bytes, int]]) -> None:
    """Series by turns, pieces that end amid a run, items that end amid a run, elements out of order."""

    def one(data_set: bytes, step: int) -> Instance | str:
        try:
            return read(data_set, step=step)
        except ArchiveError as failure:
            return f"{type(failure).__name__} {failure}"

    alone = []
    for data_set, _ in objects:
        known.forget()
        alone.append(one(data_set, 0))
    known.forget()
    for _ in range(3):
        assert [one(*each) for each in objects] == alone


def test_a_run_ends_where_objects_differ_from_then_on() -> None:
    """It is read together again in what is left of it."""
    known.forget()
    same = [explicit(0x00400080 + number, "SH", b"A ") for number in range(20)]
    for value in (b"A ", b"A ", b"B ", b"A ", b"B "):
        here = [*same[:9], explicit(0x00400089, "SH", value), *same[10:]]
        read(identified(after=b"".join(here)))
    (level,) = known._KNOWN.values()
    lengths = {run.elements[0][0]: len(run.elements) for run in level.runs.values() if run.elements}
    assert lengths[0x00080016] == 4 + 9
    assert lengths[0x0040008A] == 10


def test_a_run_that_was_of_use_is_learnt_anew() -> None:
    """As where the next study begins, in which some elements are others."""
    known.forget()
    of_study, always = range(0x00200061, 0x00200067), range(0x00200080, 0x00200089)
    for value in (b"A ", b"B "):
        sent = explicit(0x00200060, "SQ") + b"".join(explicit(tag, "SH", value) for tag in of_study)
        sent += b"".join(explicit(tag, "SH", b"A ") for tag in always)
        for _ in range(known.OF_USE + 4):
            read(identified(after=sent))
    (level,) = known._KNOWN.values()
    (run,) = (run for run in level.runs.values() if run.elements and run.elements[0][0] == of_study[0])
    assert [tag for tag, _, _ in run.elements] == [*of_study]
    assert b'"B"' in run.text
    assert run.heard > known.OF_USE // 2


def test_runs_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    known.forget()
    monkeypatch.setattr(known, "MOST_RUNS", 5)
    for number in range(60):
        tags = range(0x00200020 + number, 0x00200026 + number)
        for _ in range(3):
            read(identified(after=b"".join(explicit(tag, "SH", b"A ") for tag in tags)))
    assert all(len(one.runs) <= 5 for one in known._KNOWN.values())
    assert all(len(run.elements) <= 64 for one in known._KNOWN.values() for run in one.runs.values())


def test_what_is_known_is_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    known.forget()
    monkeypatch.setattr(known, "MOST_BYTES", 20_000)
    for number in range(300):
        value = f"{number:<100}".encode()
        tags = range(0x00400080, 0x00400088)
        read(identified(after=b"".join(explicit(tag, "LO", value) for tag in tags)))
    for one in known._KNOWN.values():
        texts = sum(len(encoded) + len(member) for encoded, (_, member, _) in one.elements.items())
        runs = sum(len(run.encoded) + len(run.text) for run in one.runs.values())
        assert 0 < texts + runs <= 20_000
