"""What a video says of itself, from the headers of its container (PS3.18 table 10.5.2-1: a store request may leave it
to us).

MP4 (ISO/IEC 14496-12) tells everything in its `moov` box, wherever that is. An MPEG-2 stream tells its size in the
first sequence header, and its length only to those who count pictures. What is in a transport stream, or a bare H.264
or H.265 stream, is not looked for: then the metadata have to say it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from archive.dicom.receiving.assembly import Bulk

MAXIMUM_INDEX_BYTES = 32 << 20
"""Of the `moov` box: some 20 bytes a frame."""
_HEAD_BYTES = 1 << 20
_MOST_BOXES = 10_000
_PICTURE, _SEQUENCE, _EXTENSION = b"\0\0\1\0", b"\0\0\1\xb3", b"\0\0\1\xb5"
_J = "1.2.840.10008.1.2.4."
_STEREO = (118, 128)
_MAIN_10 = 2


@dataclass(frozen=True, slots=True)
class Video:
    """A video. `transfer_syntax_uid` is empty when no transfer syntax has its profile and level."""

    transfer_syntax_uid: str
    rows: int
    columns: int
    frames: int
    precision: int = 8


def recognise(video: Bulk) -> Video | None:
    """What it is, None when it does not say so in a way that is read here. Raises ValueError for a broken one."""
    head = video.head(_HEAD_BYTES)
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"free", b"wide", b"skip"):
        return _mp4(video)
    if head.startswith((_SEQUENCE, b"\0\0\1\xba")):
        return _mpeg_2(video, head)
    return None


def _mp4(video: Bulk) -> Video:
    for kind, start, length in _outer_boxes(video):
        if kind == b"moov":
            if length > MAXIMUM_INDEX_BYTES:
                raise ValueError("the index of the MP4 is too long")
            index = b"".join(video.read(start, length))
            return _indexed(index)
    raise ValueError("the MP4 has no moov box")


def _outer_boxes(video: Bulk) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and length of the content of each box of the file."""
    offset = 0
    for _ in range(_MOST_BOXES):
        if offset + 8 > video.length:
            return
        head = b"".join(video.read(offset, min(16, video.length - offset)))
        kind, start, end = _box(head, 0, video.length - offset)
        yield kind, offset + start, end - start
        offset += end


def _boxes(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    offset = 0
    while offset + 8 <= len(content):
        kind, start, end = _box(content, offset, len(content))
        yield kind, content[start:end]
        offset = end


def _box(content: bytes, offset: int, limit: int) -> tuple[bytes, int, int]:
    """Kind, and where the content of the box begins and ends."""
    length, start = int.from_bytes(content[offset : offset + 4], "big"), 8
    if length == 1:
        length, start = int.from_bytes(content[offset + 8 : offset + 16], "big"), 16
    end = offset + length if length else limit
    if end < offset + start or end > limit:
        raise ValueError("a box of the MP4 has an impossible length")
    return content[offset + 4 : offset + 8], offset + start, end


def _inside(content: bytes, *path: bytes) -> bytes:
    """The content of the box at this path; empty when there is none."""
    for wanted in path:
        content = next((inner for kind, inner in _boxes(content) if kind == wanted), b"")
    return content


def _indexed(index: bytes) -> Video:
    for kind, track in _boxes(index):
        media = _inside(track, b"mdia") if kind == b"trak" else b""
        if _inside(media, b"hdlr")[8:12] == b"vide":
            table = _inside(media, b"minf", b"stbl")
            return _described(_inside(table, b"stsd"), _inside(table, b"stsz"))
    raise ValueError("the MP4 has no video in it")


def _described(descriptions: bytes, sizes: bytes) -> Video:
    """The first sample entry (14496-12 12.1.3, 14496-15), and how many samples there are."""
    entry = descriptions[8:]
    kind, content = next(_boxes(entry), (b"", b""))
    columns, rows = int.from_bytes(content[24:26], "big"), int.from_bytes(content[26:28], "big")
    frames = int.from_bytes(sizes[8:12], "big")
    if not rows or not columns or not frames:
        raise ValueError("the MP4 does not say how large it is and how many frames it has")
    if kind in (b"avc1", b"avc3"):
        return Video(_avc(_inside(content[78:], b"avcC")), rows, columns, frames)
    if kind in (b"hvc1", b"hev1"):
        is_10_bit = _inside(content[78:], b"hvcC")[1:2] == bytes([_MAIN_10])
        return Video(_J + ("108" if is_10_bit else "107"), rows, columns, frames, 10 if is_10_bit else 8)
    return Video("", rows, columns, frames)


def _avc(configuration: bytes) -> str:
    """By profile_idc and level_idc (PS3.5 tables 8-7 and following)."""
    if len(configuration) < 4:
        return ""
    profile, level = configuration[1], configuration[3]
    if profile in _STEREO:
        return _J + "106"
    return _J + "102" if level <= 41 else _J + "104" if level <= 42 else ""


def _mpeg_2(video: Bulk, head: bytes) -> Video:
    at = head.find(_SEQUENCE)
    if at < 0 or at + 8 > len(head):
        raise ValueError("the MPEG-2 stream has no sequence header")
    columns = int.from_bytes(head[at + 4 : at + 6], "big") >> 4
    rows = int.from_bytes(head[at + 5 : at + 7], "big") & 0xFFF
    frames = _count(video, _PICTURE)
    if not rows or not columns or not frames:
        raise ValueError("the MPEG-2 stream has no size, or no pictures")
    extension = head.find(_EXTENSION, at)
    is_main_level = extension >= 0 and head[extension + 5 : extension + 6] and head[extension + 5] >> 4 == 8
    return Video(_J + ("100" if is_main_level else "101"), rows, columns, frames)


def _count(video: Bulk, code: bytes) -> int:
    found, before = 0, b""
    for piece in video.pieces():
        window = before + piece
        found += window.count(code)
        before = window[-(len(code) - 1) :]
    return found
