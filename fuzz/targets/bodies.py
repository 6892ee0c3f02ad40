"""Bodies of store requests: multipart, DICOM JSON, the Native DICOM Model (H4-H6, O9).

The first byte of an input says how it is cut. Cut otherwise, it means the same. What is understood can be written again
and is understood the same; what becomes an object is one that the reader takes, and of which it says what was said.
"""

from __future__ import annotations

import json as json_module
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import orjson

from archive.dicom.errors import ArchiveError, InvalidObject, OutOfResources
from archive.dicom.instance import Instance
from archive.dicom.reading import xml_model
from archive.dicom.receiving import assembly, commitment, json_reader, received, xml_reader
from archive.dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN
from archive.web.http.multipart import MultipartError, Parser, PartBegin, PartData, PartEnd
from fuzz import seeds
from fuzz.targets import data_sets

_REFUSED = (InvalidObject, OutOfResources)
BOUNDARY = "b"

Parts = list[tuple[dict[str, str], bytes, bool, bool]]
"""Headers, content, whether the headers are at fault, whether the part has ended."""


def _cut(data: bytes) -> tuple[int, bytes]:
    return (1 + data[0] % 48, data[1:]) if data else (1, b"")


def _pieces(raw: bytes, step: int) -> Iterator[bytes]:
    return (raw[at : at + step] for at in range(0, len(raw), step))


# --- multipart ---


def multipart(data: bytes) -> None:
    """A body and its parts."""
    step, raw = _cut(data)
    parts, error = _parse(_pieces(raw, max(1, len(raw))))
    assert _parse(_pieces(raw, step)) == (parts, error), "other pieces, other parts"
    assert sum(len(content) for _, content, _, _ in parts) <= len(raw)
    if error:
        return
    assert all(ended for *_, ended in parts)
    if not any(faulty or _is_odd(headers) for headers, _, faulty, _ in parts):
        again, error = _parse([_written(parts)])
        assert (again, error) == (parts, ""), "written and parsed again, they are others"


def _parse(pieces: Iterable[bytes]) -> tuple[Parts, str]:
    parser, parts = Parser(BOUNDARY), Parts()
    try:
        for piece in pieces:
            for event in parser.feed(piece):
                if isinstance(event, PartBegin):
                    assert not parts or parts[-1][3], "a part begins within another"
                    parts.append((dict(event.headers), b"", bool(event.fault), False))
                elif isinstance(event, PartData):
                    headers, content, faulty, ended = parts[-1]
                    assert not ended, "data after the end of a part"
                    parts[-1] = (headers, content + bytes(event.data), faulty, False)
                else:
                    assert isinstance(event, PartEnd)
                    headers, content, faulty, ended = parts[-1]
                    assert not ended, "a part ends twice"
                    parts[-1] = (headers, content, faulty, True)
        parser.finish()
    except MultipartError as refused:
        assert str(refused)
        return parts, str(refused)
    return parts, ""


def _is_odd(headers: dict[str, str]) -> bool:
    """Whether it could not be written as it was read, as lines or blanks of it were joined."""
    return any(
        set(name + value) & set("\r\n") or (name, value) != (name.strip(), value.strip()) or ":" in name
        for name, value in headers.items()
    )


def _written(parts: Parts) -> bytes:
    whole = bytearray()
    for headers, content, _, _ in parts:
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        whole += f"--{BOUNDARY}\r\n{lines}\r\n".encode("latin-1") + content + b"\r\n"
    return bytes(whole + f"--{BOUNDARY}--".encode())


# --- JSON and XML ---


def json(data: bytes) -> None:
    """Data sets as DICOM JSON, and the body of a request for storage commitment."""
    step, raw = _cut(data)
    found = _read(lambda pieces: list(json_reader.data_sets(pieces)), raw, step)
    for one in found if isinstance(found, list) else ():
        if not isinstance(one, ArchiveError):
            _made(one)


def xml(data: bytes) -> None:
    """A data set as XML."""
    step, raw = _cut(data)
    found = _read(xml_reader.data_set, raw, step)
    if isinstance(found, dict):
        _made(found)


def _read(read: Callable[[Iterable[bytes]], Any], raw: bytes, step: int) -> Any:
    """What is read in one piece; in several it is the same, or refused as well."""
    outcomes = []
    for size in (max(1, len(raw)), step):
        try:
            outcomes.append(read(_pieces(raw, size)))
        except _REFUSED as refused:
            assert refused.reason
            outcomes.append(type(refused))
    whole, cut = outcomes
    assert _plain(whole) == _plain(cut), "other pieces, another outcome"
    return whole


def _plain(found: Any) -> str:
    """Errors by their words, so that outcomes can be compared."""
    return repr([str(one) for one in found] if isinstance(found, list) else found)


def _made(read: object) -> None:
    """An object is made of it, or it is refused; the reader then says of it what was said."""
    try:
        data_set = received.data_set(read)
        list(received.bulk_data_uris(data_set))
        assert received.size(data_set) >= 0
        commitment.references([data_set])
    except _REFUSED:
        pass
    try:
        data_set = received.data_set(read)
        received.check_identity(data_set)
        charset = assembly.character_set(data_set)
        encoded = b"".join(assembly.encoded(data_set, {}, charset))
    except _REFUSED:
        return
    outcome = data_sets.outcome(encoded, EXPLICIT_VR_LITTLE_ENDIAN, max(1, len(encoded)))
    if isinstance(outcome, Instance):
        data_sets.check(outcome, encoded)
        _check_same(data_sets.metadata(outcome))


def _check_same(found: dict[str, Any]) -> None:
    """Metadata that came out go in, and come out the same."""
    data_set = received.data_set(json_module.loads(orjson.dumps(found)))
    encoded = b"".join(assembly.encoded(data_set, {}, assembly.character_set(data_set)))
    again = data_sets.outcome(encoded, EXPLICIT_VR_LITTLE_ENDIAN, max(1, len(encoded)))
    assert isinstance(again, Instance), f"our own metadata are refused: {again}"
    assert _comparable(data_sets.metadata(again)) == _comparable(found), "our own metadata come out otherwise"


def _comparable(found: dict[str, Any]) -> str:
    """Without what is not in the metadata themselves."""
    return orjson.dumps(_without_bulk(found)).decode()


def _without_bulk(found: dict[str, Any]) -> dict[str, Any]:
    kept = {}
    for tag, element in found.items():
        if "BulkDataURI" in element:
            continue
        kept[tag] = element
        if element["vr"] == "SQ" and element.get("Value"):
            kept[tag] = {"vr": "SQ", "Value": [_without_bulk(item) for item in element["Value"]]}
    return kept


# --- seeds ---


def multipart_seeds() -> list[bytes]:
    """Two parts, one without headers, one folded, with something before and after."""
    plain = b"--b\r\nContent-Type: application/dicom\r\n\r\nfirst\r\n--b\r\n\r\nsecond\r\n--b--\r\n"
    folded = b"before\r\n--b \t\r\nA: 1;\r\n b=2\r\n\r\n\r\n--bc\r\n-\r\n--b--after"
    faulty = b"--b\r\nno colon\r\n\r\nx\r\n--b\r\nB: 2\r\n\r\ny\r\n--b--"
    return [step + body for body in (plain, folded, faulty) for step in (b"\x05", b"\x2f")]


def _models() -> list[dict[str, Any]]:
    found = []
    for made in (seeds.least(), seeds.nested(), seeds.image()):
        encoded = seeds.encoded(made, seeds.EXPLICIT)
        instance = data_sets.outcome(encoded, seeds.EXPLICIT, len(encoded))
        assert isinstance(instance, Instance)
        found.append(data_sets.metadata(instance))
    return found


def json_seeds() -> list[bytes]:
    """Arrays of one and of two, and one that stands alone."""
    models = [orjson.dumps(model) for model in _models()]
    return [
        *(b"\x07[" + model + b"]" for model in models),
        b"\x11[" + b",".join(models[:2]) + b"]",
        b"\x03 " + models[0],
    ]


def xml_seeds() -> list[bytes]:
    """The same as XML."""
    return [b"\x07" + xml_model.document(model) for model in _models()]
