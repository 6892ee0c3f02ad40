"""The reader beside pydicom and DCMTK: two programs must not take one object for two (4.4).

What we are stricter or more lenient about is meant (`reading.structure`), so refusing is compared only where it
matters: of an object that we take, pydicom, where it can read it, must not say that it is another one. DCMTK's
`dcmdump` is asked in batches, as a program takes ten milliseconds to start.
"""

from __future__ import annotations

import io
import logging
import re
import subprocess
import warnings
import zlib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.multival import MultiValue

from archive.dicom.instance import Instance
from archive.dicom.part10 import file_meta
from archive.dicom.reading.listener import Nobody
from archive.dicom.reading.structure import Structure
from archive.dicom.transfer_syntaxes import transfer_syntax
from fuzz import seeds
from fuzz.targets import data_sets

_COMPARED = {
    0x00080016: "SOPClassUID",
    0x00080018: "SOPInstanceUID",
    0x0020000D: "StudyInstanceUID",
    0x0020000E: "SeriesInstanceUID",
}
_DCMDUMP_ERROR = re.compile(r"^E: .*?reading file: (\S+)$", re.MULTILINE)


def oracle(data: bytes) -> None:
    """What we take, pydicom reads, and sees the same identity in it."""
    if len(data) < 2:
        return
    uid, _, encoded = data_sets.split(data)
    ours = data_sets.outcome(encoded, uid, max(1, len(encoded)))
    if not isinstance(ours, Instance):
        return
    plain = inflated(encoded, uid)
    twice = repeated(plain, uid)
    try:
        theirs = by_pydicom(plain, uid)
        seen = {keyword: _first(theirs, keyword) for keyword in _COMPARED.values()}
    except Exception:  # noqa: BLE001 - whatever keeps the oracle from an answer
        return
    for tag, keyword in _COMPARED.items():
        if tag not in twice:
            mine = getattr(ours, keyword)
            assert mine == seen[keyword], f"{keyword} is {mine!r} here and {seen[keyword]!r} for pydicom"


def _first(found: Dataset, keyword: str) -> str:
    """The first value as text, without padding."""
    value = found.get(keyword, "")
    return str(value[0] if isinstance(value, MultiValue | list) and value else value).strip(" \0")


class _Tags(Nobody):
    """Hears which attributes are at the top level more than once."""

    def __init__(self) -> None:
        self.heard: Counter[int] = Counter()
        self._depth = 0

    def element(self, tag: int, vr: str, raw: bytes, big_endian: bool) -> None:
        self._hear(tag)

    def skipped(self, tag: int, vr: str, offset: int, length: int) -> None:
        self._hear(tag)

    def begin_sequence(self, tag: int) -> None:
        self._hear(tag)
        self._depth += 1

    def end_sequence(self) -> None:
        self._depth -= 1

    def _hear(self, tag: int) -> None:
        if not self._depth:
            self.heard[tag] += 1


def repeated(encoded: bytes, uid: str) -> set[int]:
    """The attributes that the data set has twice, which it must not: we take the first, pydicom the last."""
    syntax, tags = transfer_syntax(uid), _Tags()
    walk = Structure(tags, implicit=syntax.implicit, big_endian=syntax.big_endian)
    walk.feed(encoded)
    walk.finish()
    return {tag for tag, times in tags.heard.items() if times > 1}


def inflated(encoded: bytes, uid: str) -> bytes:
    """The data set as it was before it was deflated."""
    if not transfer_syntax(uid).deflated:
        return encoded
    return zlib.decompressobj(-zlib.MAX_WBITS).decompress(encoded)


def by_pydicom(encoded: bytes, uid: str) -> Dataset:
    """pydicom's view of a data set that is not deflated; its remarks are not ours."""
    syntax = transfer_syntax(uid)
    logging.getLogger("pydicom").setLevel(logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return read_dataset(io.BytesIO(encoded), syntax.implicit, not syntax.big_endian)


def refused_by_dcmdump(files: Iterable[Path], folder: Path) -> set[str]:
    """The names of those that `dcmdump` does not read to their end."""
    names = [path.name for path in files]
    done = subprocess.run(
        ["dcmdump", "+E", "-M", *names],
        cwd=folder,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    return {found[1] for found in _DCMDUMP_ERROR.finditer(done.stderr)}


def as_file(encoded: bytes, uid: str) -> bytes:
    """A file of it, for programs that read files."""
    return file_meta(seeds.SECONDARY_CAPTURE, "1.2.3", uid) + encoded


def oracle_seeds() -> list[bytes]:
    """The same as of the reader."""
    return data_sets.data_set_seeds()
