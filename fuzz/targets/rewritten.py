"""What is made of an object that was taken: coerced on its way in, re-encoded on its way out.

Whatever was accepted, what we make of it is accepted too, is the same instance, and has all attributes of the other
but those that were to change.
"""

from __future__ import annotations

from typing import Any

from archive.dicom.errors import InvalidObject, NotAcceptable
from archive.dicom.instance import Instance
from archive.dicom.transfer_syntaxes import transfer_syntax
from archive.dicom.writing.coercion import Circumstances, Coercer, coerced
from archive.dicom.writing.recoded import Recoded
from archive.dicom.writing.recoding import Source
from fuzz import seeds
from fuzz.targets import data_sets

_TOLD = Circumstances("20260101120000.000000+0100", "ARCHIVE", "CALLER")
_WANTED = (coerced("InstitutionName", "General Hospital"), coerced("PatientID", "GH-1"))
_IDENTITY = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
_COERCED = {"00080080", "00100020", "04000561"}


def rewritten(data: bytes) -> None:
    """An object, coerced and re-encoded."""
    if len(data) < 2:
        return
    uid, step, encoded = data_sets.split(data)
    before = data_sets.outcome(encoded, uid, max(1, len(encoded)))
    if isinstance(before, Instance):
        _coerced(before, encoded, step)
        if not transfer_syntax(uid).deflated:
            for implicit in (False, True):
                _recoded(before, encoded, implicit=implicit)


def _coerced(before: Instance, encoded: bytes, step: int) -> None:
    syntax = transfer_syntax(before.transfer_syntax_uid)
    results = [_run(Coercer(_WANTED, syntax, _TOLD), encoded, size) for size in (max(1, len(encoded)), step)]
    if not syntax.deflated:
        assert results[0] == results[1], "other pieces, other bytes"
    if isinstance(results[0], str):
        return
    after = data_sets.outcome(results[0], syntax.uid, max(1, len(results[0])))
    assert isinstance(after, Instance), f"what was coerced is refused: {after}"
    _check_identity(before, after)
    found = data_sets.metadata(after)
    assert found["00100020"].get("Value") == ["GH-1"], found["00100020"]
    assert _others(data_sets.metadata(before)) == _others(found)


def _run(coercer: Coercer, encoded: bytes, step: int) -> bytes | str:
    """What comes out, or why nothing does."""
    out = bytearray()
    try:
        for start in range(0, len(encoded), step):
            for piece in coercer.feed(encoded[start : start + step]):
                out += piece
        return bytes(out + coercer.finish())
    except InvalidObject as refused:
        return refused.reason


def _recoded(before: Instance, encoded: bytes, *, implicit: bool) -> None:
    syntax = transfer_syntax(before.transfer_syntax_uid)

    def read(offset: int, length: int) -> bytes:
        assert 0 <= offset <= offset + length <= len(encoded), "read where there is nothing"
        return encoded[offset : offset + length]

    source = Source(read, len(encoded), syntax.implicit, syntax.big_endian)
    try:
        whole = Recoded(b"", source, implicit=implicit)
    except NotAcceptable:
        return
    out = b"".join(whole.pieces(read, 0, whole.length))
    assert len(out) == whole.length
    uid = seeds.IMPLICIT if implicit else seeds.EXPLICIT
    after = data_sets.outcome(out, uid, max(1, len(out)))
    assert isinstance(after, Instance), f"what was re-encoded is refused: {after}"
    _check_identity(before, after)
    assert data_sets.metadata(before).keys() - _ENCAPSULATION == data_sets.metadata(after).keys()


_ENCAPSULATION = {"7FE00001", "7FE00002", "7FE00003"}
"""What describes an encapsulation that is none any more."""


def _check_identity(before: Instance, after: Instance) -> None:
    for keyword in _IDENTITY:
        assert getattr(before, keyword) == getattr(after, keyword), keyword


def _others(metadata: dict[str, Any]) -> dict[str, Any]:
    """All that was not to change."""
    return {tag: element for tag, element in metadata.items() if tag not in _COERCED}


def rewritten_seeds() -> list[bytes]:
    """The same as of the reader."""
    return data_sets.data_set_seeds()
