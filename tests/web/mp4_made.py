"""The skeleton of MP4 and MPEG-2 files: all that says what is in them, and no pictures."""

from __future__ import annotations


def _box(kind: str, *contents: bytes) -> bytes:
    content = b"".join(contents)
    return (8 + len(content)).to_bytes(4, "big") + kind.encode() + content


def mp4(
    codec: str,
    profile: int,
    level: int,
    *,
    rows: int = 480,
    columns: int = 640,
    frames: int = 25,
    index_first: bool = False,
) -> bytes:
    """ISO/IEC 14496-12 and -15: a sound track, and a video track of this codec."""
    configuration = {
        "avc1": _box("avcC", bytes([1, profile, 0, level])),
        "hvc1": _box("hvcC", bytes([1, profile, *bytes(10), level])),
        "hev1": _box("hvcC", bytes([1, profile, *bytes(10), level])),
    }.get(codec, b"")
    size = columns.to_bytes(2, "big") + rows.to_bytes(2, "big")
    entry = _box(codec, bytes(24), size, bytes(50), configuration)
    table = _box(
        "stbl",
        _box("stsd", bytes(4), (1).to_bytes(4, "big"), entry),
        _box("stsz", bytes(8), frames.to_bytes(4, "big")),
    )
    tracks = [
        _box("trak", _box("mdia", _box("hdlr", bytes(8), handler), _box("minf", table)))
        for handler in (b"soun" + bytes(12), b"vide" + bytes(12))
    ]
    index, media = _box("moov", _box("mvhd", bytes(100)), *tracks), _box("mdat", b"pictures" * 50)
    body = index + media if index_first else media + index
    return _box("ftyp", b"isom", bytes(4)) + body


def mpeg_2(*, main_level: bool, rows: int = 576, columns: int = 720, frames: int = 7) -> bytes:
    """ISO/IEC 13818-2: a sequence header, its extension, and the headers of pictures."""
    size = (columns << 12 | rows).to_bytes(3, "big")
    level = 8 if main_level else 4
    extension = b"\0\0\1\xb5" + bytes([0x14, level << 4]) + bytes(4)
    picture = b"\0\0\1\0" + b"\x11" * 300
    return b"\0\0\1\xb3" + size + bytes(5) + extension + picture * frames
