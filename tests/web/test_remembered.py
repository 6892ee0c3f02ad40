"""Metadata that are sent again from memory: the same in every content coding, and never what is no longer so."""

from __future__ import annotations

import gzip
import io
import random
from collections.abc import Iterator

import httpx
import pytest
import zstandard

from archive.web.http import remembered
from archive.web.http.exchange import Answer, Asked
from archive.web.http.remembered import LONGEST, Texts
from objects import mr, part10, series
from web_door import STUDIES, Door

CODINGS = ("identity", "gzip", "zstd")
PIECES = (b"[" + b'{"a": 1}' * 300, b"," + b'{"b": 2}' * 300, b"]")


def asked(coding: str) -> Asked:
    """A request that takes this content coding."""
    return Asked({}, "", {"accept-encoding": coding}, "http://here")


def broken_off() -> Iterator[bytes]:
    """A text of which the end cannot be had."""
    yield PIECES[0]
    raise ConnectionError


def body(pieces: Iterator[bytes], coding: str, texts: Texts, etag: str = "tag") -> bytes:
    """What is sent, decoded: in the coding that was asked for, or plain for the door to encode."""
    answer = remembered.applied(Answer(200, "application/json", pieces, etag=etag), asked(coding), texts)
    assert not isinstance(answer.body, bytes) or coding != "identity"
    sent = answer.body if isinstance(answer.body, bytes) else b"".join(answer.body)  # type: ignore[arg-type]
    match dict(answer.headers).get("Content-Encoding"):
        case "gzip":
            return gzip.decompress(sent)
        case "zstd":
            return zstandard.ZstdDecompressor().stream_reader(io.BytesIO(sent)).read()
        case _:
            return sent


@pytest.mark.parametrize("first", CODINGS)
@pytest.mark.parametrize("second", CODINGS)
def test_a_text_is_made_once(first: str, second: str) -> None:
    texts = Texts()
    assert body(iter(PIECES), first, texts) == b"".join(PIECES)
    for coding in (second, first, second):
        assert body(broken_off(), coding, texts) == b"".join(PIECES)
    assert body(iter(PIECES[1:]), second, texts, etag="another") == b"".join(PIECES[1:])


def test_what_is_broken_off_is_not_kept() -> None:
    texts = Texts()
    for coding in CODINGS:
        with pytest.raises(ConnectionError):
            body(broken_off(), coding, texts)
    left = remembered.applied(Answer(200, "", iter(PIECES), etag="tag"), asked("gzip"), texts).body
    assert isinstance(left, Iterator)
    next(left)
    left.close()  # type: ignore[attr-defined]
    assert all(texts.get("tag", coding) is None for coding in CODINGS)


def test_what_was_asked_for_last_is_kept() -> None:
    texts = Texts(maximum_bytes=100)
    for etag in ("first", "second"):
        texts.put(etag, "zstd", bytes(40))
    assert texts.get("first", "zstd") is not None
    texts.put("third", "zstd", bytes(40))
    assert [texts.get(etag, "zstd") is not None for etag in ("first", "second", "third")] == [
        True,
        False,
        True,
    ]
    texts.put("third", "zstd", bytes(20))
    texts.put("fourth", "zstd", bytes(40))
    assert texts.get("first", "zstd") is not None
    texts.put("fifth", "zstd", bytes(101))
    assert all(texts.get(etag, "zstd") is None for etag in ("first", "third", "fourth", "fifth"))


def test_a_very_long_text_is_sent_and_not_kept() -> None:
    long, texts = random.Random(1).randbytes(2 * LONGEST), Texts()
    for coding in CODINGS:
        assert body(iter((long[:LONGEST], long[LONGEST:])), coding, texts) == long
        assert texts.get("tag", coding) is None


def metadata(door: Door, path: str, coding: str) -> httpx.Response:
    """In this content coding."""
    return door.client.get(f"{path}/metadata", headers={"Accept-Encoding": coding})


def test_metadata_are_never_out_of_date(empty_door: Door) -> None:
    """What is stored, deleted and stored otherwise since shows in the next answer, in every content coding."""
    first, second, third = series(mr, 3)
    study = f"{STUDIES}/{first.StudyInstanceUID}"
    paths = (study, f"{study}/series/{first.SeriesInstanceUID}")

    def told() -> list[str]:
        """The UIDs, the same in all answers."""
        answers = [
            metadata(empty_door, path, coding) for path in paths for coding in (*CODINGS, *CODINGS[::-1])
        ]
        assert {answer.status_code for answer in answers} == {200}
        assert len({answer.content for answer in answers}) == 1
        return [str(one["00080018"]["Value"][0]) for one in answers[0].json()]

    assert empty_door.store(part10(first), part10(second)).status_code == 200
    assert sorted(told()) == sorted((first.SOPInstanceUID, second.SOPInstanceUID))
    assert empty_door.store(part10(third)).status_code == 200
    assert len(told()) == 3
    deleted = f"{paths[1]}/instances/{second.SOPInstanceUID}"
    assert empty_door.client.delete(deleted).status_code in (200, 204)
    assert sorted(told()) == sorted((first.SOPInstanceUID, third.SOPInstanceUID))
    assert empty_door.store(part10(second)).status_code == 200
    assert len(told()) == 3
    assert empty_door.client.delete(study).status_code in (200, 204)
    assert metadata(empty_door, study, "gzip").status_code in (404, 410)


def test_urls_in_metadata_are_those_of_the_asker(empty_door: Door) -> None:
    """The same text for another name of the archive has other BulkDataURIs."""
    one, other = series(mr, 2)
    assert empty_door.store(part10(one), part10(other)).status_code == 200
    names = (f"{name}:{empty_door.port}" for name in ("localhost", "127.0.0.1", "localhost"))
    for host in names:
        answer = empty_door.client.get(
            f"{STUDIES}/{one.StudyInstanceUID}/metadata", headers={"Host": host, "Accept-Encoding": "gzip"}
        )
        assert f"http://{host}/dicom-web/studies" in answer.text
        assert answer.text.count("http://") == answer.text.count(host)
