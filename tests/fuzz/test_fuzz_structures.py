"""Inputs that are built, not bent: PDUs and data sets of every shape, of which some lie about one length.

They reach what mutations rarely do, as every part but one is right. The data sets are read by us, by pydicom, and by
DCMTK's dcmdump.
"""

from __future__ import annotations

import shutil
import struct
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from archive.dicom.instance import Instance
from archive.dicom.reading import known
from archive.network import pdu
from archive.network.pdu import HEADER
from fuzz import seeds
from fuzz.targets import associations, data_sets, oracles

# --- PDUs ---

_CONTROLS = st.sampled_from([0, 1, 2, 3, 3, 2, 7, 255])
_CONTEXTS = st.sampled_from([1, 3, 3, 5, 0, 2, 255])
_BODIES = st.sampled_from(associations.command_seeds()) | st.binary(max_size=40)


@st.composite
def _fragment(draw: st.DrawFn) -> bytes:
    body = draw(_BODIES)
    length = len(body) + 2 + draw(st.sampled_from([0, 0, 0, 0, -1, 1, -2, 1000, 1 << 31]))
    return struct.pack(">IBB", max(0, length), draw(_CONTEXTS), draw(_CONTROLS)) + body


@st.composite
def _pdu(draw: st.DrawFn) -> bytes:
    kind = draw(st.sampled_from([4, 4, 4, 4, 5, 6, 7, 1, 2, 3, 0, 8, 255]))
    short = bytes(4) if kind in (5, 6, 7) else b""
    body = b"".join(draw(st.lists(_fragment(), max_size=3))) if kind == pdu.P_DATA_TF else short
    length = len(body) + draw(st.sampled_from([0, 0, 0, 0, 0, -1, 1, 5000, 0xFFFFFFF0 - len(body)]))
    return HEADER.pack(kind, max(0, length)) + body


@settings(max_examples=300)
@given(st.sampled_from(associations.caller_seeds()), st.lists(_pdu(), max_size=6), st.booleans())
def test_pdus_in_any_order(conversation: bytes, pdus: list[bytes], from_the_start: bool) -> None:
    """D4 to D8: no fault of ours, and nothing said that is not allowed to be said."""
    _, length = HEADER.unpack_from(conversation)
    begin = b"" if from_the_start else conversation[: HEADER.size + length]
    associations.caller(begin + b"".join(pdus))


# --- data sets ---

_TEXTS = ("AE", "CS", "DA", "DS", "IS", "LO", "PN", "SH", "TM", "UI")
_BINARIES = ("OB", "OW", "UN", "UT", "UC", "US", "UL", "AT", "FD", "SV")
_LONG = ("OB", "OW", "UN", "UT", "UC", "SV", "SQ")
_UNDEFINED = 0xFFFFFFFF


@dataclass(frozen=True)
class _Lie:
    """Which of all lengths is wrong, and by how much; none of them with `by` 0."""

    at: int
    by: int


class _Writer:
    """Explicit VR Little Endian, with one length that lies."""

    def __init__(self, lie: _Lie) -> None:
        self._lie = lie
        self._lengths = 0

    def _length(self, true: int) -> int:
        self._lengths += 1
        return max(0, true + self._lie.by) if self._lengths - 1 == self._lie.at else true

    def element(self, tag: int, vr: str, value: bytes, *, undefined: bool = False) -> bytes:
        length = _UNDEFINED if undefined else self._length(len(value))
        head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr.encode())
        if vr in _LONG:
            return head + struct.pack("<HI", 0, length & 0xFFFFFFFF) + value
        return head + struct.pack("<H", length & 0xFFFF) + value

    def item(self, content: bytes, *, undefined: bool) -> bytes:
        if undefined:
            return (
                struct.pack("<HHI", 0xFFFE, 0xE000, _UNDEFINED)
                + content
                + struct.pack("<HHI", 0xFFFE, 0xE00D, 0)
            )
        return struct.pack("<HHI", 0xFFFE, 0xE000, self._length(len(content))) + content


_LEAVES = st.tuples(
    st.sampled_from((*_TEXTS, *_BINARIES)), st.binary(max_size=12).map(lambda raw: raw[: len(raw) // 2 * 2])
)
_TREES = st.recursive(
    _LEAVES,
    lambda inner: st.tuples(
        st.just("SQ"),
        st.booleans(),
        st.lists(st.tuples(st.booleans(), st.lists(inner, max_size=3)), max_size=3),
    ),
    max_leaves=8,
)


def _written(writer: _Writer, trees: list[tuple[object, ...]], group: int) -> bytes:
    out = b""
    for number, tree in enumerate(trees):
        tag = group << 16 | 0x1001 + number
        if tree[0] != "SQ":
            out += writer.element(tag, str(tree[0]), tree[1])  # type: ignore[arg-type]
            continue
        _, undefined, items = tree
        content = b"".join(
            writer.item(_written(writer, inner, group), undefined=open_ended)
            for open_ended, inner in items  # type: ignore[union-attr]
        )
        end = struct.pack("<HHI", 0xFFFE, 0xE0DD, 0) if undefined else b""
        out += writer.element(tag, "SQ", content + end, undefined=bool(undefined))
    return out


@st.composite
def _data_set(draw: st.DrawFn) -> tuple[bytes, bool]:
    """A data set, and whether one of its lengths lies."""
    trees = draw(st.lists(_TREES, min_size=1, max_size=4))
    by = draw(st.sampled_from([0, 0, -2, 2, 4, -4, 8, 1000]))
    writer = _Writer(_Lie(draw(st.integers(0, 30)), by))
    private = _written(writer, trees, 0x0043)
    lies = bool(by) and writer._lengths > writer._lie.at
    return seeds.encoded(seeds.least(), seeds.EXPLICIT) + private, lies


@settings(max_examples=200)
@given(_data_set(), st.integers(0, 63))
def test_data_sets_of_any_shape(made: tuple[bytes, bool], step: int) -> None:
    """What is true is taken, and pydicom sees in it whom we see in it."""
    encoded, lies = made
    header = bytes((seeds.SYNTAXES.index(seeds.EXPLICIT), step))
    data_sets.data_set(header + encoded)
    oracles.oracle(header + encoded)
    known.forget()
    if not lies:
        assert isinstance(data_sets.outcome(encoded, seeds.EXPLICIT, len(encoded)), Instance)


@pytest.mark.skipif(
    shutil.which("dcmdump") is None, reason="DCMTK is not installed (Debian: apt install dcmtk)"
)
def test_dcmdump_reads_what_is_taken(tmp_path: Path) -> None:
    """Of objects that are cut off anywhere, or lie about a length, we take none that DCMTK cannot read to its end."""
    whole = {
        uid: seeds.encoded(seeds.nested(), uid) for uid in (seeds.IMPLICIT, seeds.EXPLICIT, seeds.BIG_ENDIAN)
    }
    taken, refused = [], []
    for number, (uid, encoded) in enumerate(whole.items()):
        for cut in range(0, len(encoded) + 1, 3):
            part = encoded[: cut or len(encoded)]
            ours = data_sets.outcome(part, uid, max(1, len(part)))
            path = tmp_path / f"{number}-{cut}"
            path.write_bytes(oracles.as_file(part, uid))
            (taken if isinstance(ours, Instance) else refused).append(path)
    assert len(taken) > 3
    assert len(refused) > 100
    theirs = oracles.refused_by_dcmdump([*taken, *refused], tmp_path)
    assert len(theirs) > 100, "it refuses what is cut off"
    assert theirs <= {path.name for path in refused}


@settings(max_examples=3, phases=[Phase.generate])
@given(st.lists(_data_set(), min_size=60, max_size=60))
@pytest.mark.skipif(
    shutil.which("dcmdump") is None, reason="DCMTK is not installed (Debian: apt install dcmtk)"
)
def test_dcmdump_reads_what_is_built_and_taken(
    tmp_path_factory: pytest.TempPathFactory, made: list[tuple[bytes, bool]]
) -> None:
    folder = tmp_path_factory.mktemp("built")
    taken = []
    for number, (encoded, _) in enumerate(made):
        if isinstance(data_sets.outcome(encoded, seeds.EXPLICIT, len(encoded)), Instance):
            path = folder / str(number)
            path.write_bytes(oracles.as_file(encoded, seeds.EXPLICIT))
            taken.append(path)
    assert taken
    assert oracles.refused_by_dcmdump(taken, folder) == set()
