"""What `test_http_attacks` sends: bodies in multipart, XML and JSON, URLs, and questions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

MEGABYTE = 1 << 20

_PART = b"--B\r\nContent-Type: application/dicom\r\n\r\n"
_TYPE = 'multipart/related; type="application/dicom"; boundary='
_NESTED = b"--B\r\nContent-Type: multipart/related; boundary=C\r\n\r\n--C\r\n\r\n--C--\r\n--B--"
MULTIPART: dict[str, tuple[str, list[bytes], tuple[int, ...]]] = {
    "no boundary": (_TYPE.rpartition(";")[0], [b"x"], (400, 415)),
    "an empty boundary": (_TYPE, [b"x"], (400, 415)),
    "a boundary of 60 kB": (_TYPE + "b" * 60_000, [b"x"], (400, 415)),
    "10^6 empty parts": (f"{_TYPE}B", [b"--B\r\n\r\n\r\n" * 10_000] * 100, (400, 409)),
    "10^5 headers": (f"{_TYPE}B", [b"--B\r\n", *[b"a: b\r\n" * 1000] * 100, b"\r\n\r\n--B--"], (400, 409)),
    "a header of 10 MB": (
        f"{_TYPE}B",
        [b"--B\r\nX: ", *[bytes(MEGABYTE)] * 10, b"\r\n\r\n--B--"],
        (400, 409),
    ),
    "a preamble of 100 MB": (f"{_TYPE}B", [*[bytes(MEGABYTE)] * 100, b"\r\n--B--"], (400, 409)),
    "an epilogue of 100 MB": (f"{_TYPE}B", [b"--B--\r\n", *[bytes(MEGABYTE)] * 100], (400, 409)),
    "200 parts of 1 MB": (f"{_TYPE}B", [_PART + bytes(MEGABYTE) + b"\r\n"] * 200, (400, 409)),
    "boundaries all over": (f"{_TYPE}B", [_PART, *[b"\r\n--" * 200_000] * 10, b"\r\n--B--"], (400, 409)),
    "nested": (f"{_TYPE}B", [_NESTED], (400, 409)),
    "LF only": (f"{_TYPE}B", [_PART.replace(b"\r", b"") + b"x\n--B--\n"], (400, 409)),
    "another type": (f"{_TYPE.replace('application/dicom', 'text/html')}B", [_PART, b"--B--"], (400, 415)),
}
"""Content-Type, the body, and what it may be answered with."""


def xml_texts(url: str) -> dict[str, bytes]:
    model = "<NativeDicomModel>&e;</NativeDicomModel>"
    ten = {n: f"&l{n};" * 10 for n in range(12)}
    laughs = "".join(f'<!ENTITY l{n + 1} "{ten[n]}">' for n in range(11))
    return {
        "external DTD": f'<!DOCTYPE x SYSTEM "{url}"><NativeDicomModel/>'.encode(),
        "external entity": f'<!DOCTYPE x [<!ENTITY e SYSTEM "{url}">]>{model}'.encode(),
        "parameter entity": f'<!DOCTYPE x [<!ENTITY % e SYSTEM "{url}"> %e;]><NativeDicomModel/>'.encode(),
        "a file": f'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>{model}'.encode(),
        "billion laughs": f'<!DOCTYPE x [<!ENTITY l0 "lol">{laughs}<!ENTITY e "&l11;">]>{model}'.encode(),
        "in UTF-16": f'<!DOCTYPE x SYSTEM "{url}"><NativeDicomModel/>'.encode("utf-16"),
        "UTF-7": b'<?xml version="1.0" encoding="UTF-7"?>+ADwAIQ-DOCTYPE x+AD4-<NativeDicomModel/>',
        "XInclude": f'<NativeDicomModel xmlns:xi="http://www.w3.org/2001/XInclude"><xi:include href="{url}"/>'
        "</NativeDicomModel>".encode(),
        "a schema": f'<NativeDicomModel xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        f'xsi:schemaLocation="x {url}"/>'.encode(),
        "a stylesheet": f'<?xml-stylesheet href="{url}"?><NativeDicomModel/>'.encode(),
        "10^5 nested items": b"<NativeDicomModel>"
        + b'<DicomAttribute tag="00081140" vr="SQ"><Item number="1">' * 100_000,
        "bulk data elsewhere": f'<NativeDicomModel><DicomAttribute tag="7FE00010" vr="OW"><BulkData uri="{url}"/>'
        "</DicomAttribute></NativeDicomModel>".encode(),
    }


JSON_TEXTS: dict[str, Callable[[], Iterable[bytes]]] = {
    "NaN": lambda: [b'[{"00189073":{"vr":"FD","Value":[NaN]}}]'],
    "Infinity": lambda: [b'[{"00189073":{"vr":"FD","Value":[-Infinity]}}]'],
    "10,000 digits": lambda: [b'[{"00280010":{"vr":"US","Value":[' + b"9" * 10_000 + b"]}}]"],
    "an exponent": lambda: [b'[{"00280010":{"vr":"US","Value":[1e999999999]}}]'],
    "two of one key": lambda: [
        b'[{"00080060":{"vr":"CS","Value":["A"]},"00080060":{"vr":"CS","Value":["B"]}}]'
    ],
    "half a character": lambda: [b'[{"00100020":{"vr":"LO","Value":["\\ud800"]}}]'],
    "50,000 deep": lambda: [b"[" * 50_000],
    "50,000 sequences deep": lambda: [b"[", b'{"00081140":{"vr":"SQ","Value":[' * 50_000],
    "100 MB InlineBinary": lambda: [
        b'[{"7FE00010":{"vr":"OW","InlineBinary":"',
        *[b"A" * MEGABYTE] * 100,
        b'"}}]',
    ],
    "100 MB of a key": lambda: [b'[{"', *[b"A" * MEGABYTE] * 100, b'":1}]'],
    "an object for a value": lambda: [b'[{"00080060":{"vr":"CS","Value":{"a":1}}}]'],
    "another vr": lambda: [b'[{"00280010":{"vr":"SQ","Value":[5]}}]'],
    "no UTF-8": lambda: [b'[{"00100020":{"vr":"LO","Value":["\xc0\xae"]}}]'],
}


def references(url: str) -> Iterator[str]:
    yield url
    yield url.replace("http://", "//")
    yield url.replace("127.0.0.1", "localhost")
    yield url.replace("http://", "http://user:password@")
    yield url.replace("http://", "gopher://")
    yield url.replace("http://", "ftp://")
    yield from ("file:///etc/passwd", "/etc/passwd", "../../etc/passwd", "data:,AAAA", "jar:file:///x!/y", "")
    yield "http://169.254.169.254/latest/meta-data/"


SEARCHES = {
    "limit=-1": (400,),
    "limit=1000000000000": (200,),
    "limit=1e3": (400,),
    "offset=9223372036854775808": (200, 204),
    "offset=" + "9" * 40: (400,),
    "PatientName=a&PatientName=b": (400,),
    "NoSuchKeyword=x": (200,),
    "includefield=PatientName&" * 999 + "limit=1": (200, 400),
    "includefield=PatientName&" * 2000: (400, 431),
    "includefield=" + "PatientName," * 4000: (200, 400),
    "StudyDate=99999999-": (400,),
    "StudyDate=" + "20240101-" * 2000: (400,),
    "fuzzymatching=true&PatientName=" + "a" * 60_000: (200, 204, 400),
    "fuzzymatching=true&PatientName=" + "a%20" * 15_000: (200, 204, 400),
    "PatientName=" + "*a" * 30_000: (200, 204, 400),
    "PatientName=" + "%3F" * 20_000 + "*": (200, 204, 400),
    "StudyInstanceUID=" + ",".join(f"1.2.{n}" for n in range(7000)): (200, 204, 400),
    "PatientID=%27%3B%20DROP%20TABLE%20study%3B--": (204,),
    "PatientID=%25": (204,),
    "PatientID=_": (204,),
    "PatientID=%5C": (204, 400),
    "PatientID=%00": (400,),
    "PatientID=%C0%AE": (400,),
    "00100010.00100010.00100010=x": (204, 400),
    "&" * 60_000: (400,),
}
