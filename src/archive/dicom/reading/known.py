"""What was written of elements before. The objects of a series say the same in nine of ten elements, and what is
written of one follows from nothing but the encoding, the character set, what is watched, and its own bytes.

Elements are found one by one, by their bytes; and where some came one after the other, all at once: a run is what
followed an element of this tag, VR and length. Where the bytes turn out to differ, the run ends there from then on, so
that objects of several series by turns soon agree on what they have in common; but one that has been of use before is
learnt anew, as then the next study has come.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import accumulate, pairwise

from archive.dicom.charsets import Decoder
from archive.dicom.instance import Element

SHORT = 136
"""Longest element that is remembered, with its header: the first byte of its length says it all."""
MOST_SETS, MOST_KNOWN, MOST_RUNS = 16, 4096, 256
SHORTEST_RUN, LONGEST_RUN = 4, 64
MOST_BYTES = 1 << 20
"""Of one set; what one object makes of it is a tenth of that."""
_BESIDE = 200
"""Bytes that an element takes beside its own and its text."""
OF_USE = 8
"""So often a run has to be heard to be worth learning another."""
_LENGTH_AT = {False: 6, True: 4}

Written = tuple[int, bytes, Element | None]
"""An element as it was written: its tag, it as a member of the JSON object, and what the index wants of it."""


@dataclass(slots=True)
class Run:
    """Elements one after the other, in ascending order; none: those that come here differ too much. `ends` are where
    each ends, `marks` have tag << 32 | place in `text` of each, `kept` is what the index wants of them, by tag; `heard`
    counts."""

    encoded: bytes
    ends: tuple[int, ...]
    elements: tuple[Written, ...]
    text: bytes
    marks: tuple[int, ...]
    kept: tuple[tuple[int, Element], ...]
    heard: int = 0

    def agreeing(self, buffer: bytes, position: int) -> Run:
        """As much of it as is there."""
        begin = count = 0
        for end in self.ends:
            if buffer[position + begin : position + end] != self.encoded[begin:end]:
                break
            begin, count = end, count + 1
        return _run(self.encoded[:begin], self.ends[:count], self.elements[:count])


def _run(encoded: bytes, ends: tuple[int, ...], elements: tuple[Written, ...]) -> Run:
    in_order = all(one[0] < next_one[0] for one, next_one in pairwise(elements))
    if len(elements) < SHORTEST_RUN or not in_order:
        return Run(b"", (), (), b"", (), ())
    places = accumulate((len(member) for _, member, _ in elements), initial=0)
    return Run(
        encoded,
        ends,
        elements,
        b"".join(member for _, member, _ in elements),
        tuple(tag << 32 | place for (tag, _, _), place in zip(elements, places, strict=False)),
        tuple((tag, kept) for tag, _, kept in elements if kept is not None),
    )


@dataclass(slots=True)
class Known:
    """What is known in one encoding, character set, and set of watched attributes."""

    elements: dict[bytes, Written] = field(default_factory=dict)
    runs: dict[bytes, Run] = field(default_factory=dict)
    size: int = 0

    def remember(self, encoded: bytes, written: Written) -> None:
        """So stands an element that was written so."""
        if len(encoded) > SHORT:
            return
        self._make_room(_BESIDE + len(encoded) + len(written[1]))
        self.elements[encoded] = written

    def _make_room(self, size: int) -> None:
        self.size += size
        if self.size > MOST_BYTES or len(self.elements) >= MOST_KNOWN or len(self.runs) >= MOST_RUNS:
            self.elements.clear()
            self.runs.clear()
            self.size = size

    def run(self, buffer: bytes, position: int, end: int) -> Run | None:
        """The run that is at this position."""
        run = self.runs.get(head := buffer[position : position + 8])
        if run is None or position + len(run.encoded) > end:
            return None
        if not buffer.startswith(run.encoded, position):
            if run.heard >= OF_USE:
                self.runs.pop(head, None)
                return None
            run = self.runs[head] = run.agreeing(buffer, position)
        run.heard += 1
        return run if run.elements else None

    def singles(self, buffer: bytes, position: int, end: int, implicit: bool) -> tuple[list[Written], int]:
        """Known elements from this position on, until one begins a run or is known to differ; and where they end. The
        next time they are a run."""
        found: list[Written] = []
        ends: list[int] = []
        find, runs, length_at = self.elements.get, self.runs, _LENGTH_AT[implicit]
        begin, last, head = position, end - 8, buffer[position : position + 8]
        most = 1 if head in runs else LONGEST_RUN
        while position <= last and len(found) < most:
            stop = position + 8 + buffer[position + length_at]
            written = find(buffer[position:stop])
            if written is None or stop > end:
                break
            found.append(written)
            ends.append(stop - begin)
            position = stop
            if buffer[position : position + 8] in runs:
                break
        if len(found) >= SHORTEST_RUN:
            made = runs[head] = _run(buffer[begin:position], tuple(ends), tuple(found))
            self._make_room(_BESIDE * len(made.elements) + len(made.encoded) + len(made.text))
        return found, position


_KNOWN: dict[tuple[bool, Decoder, frozenset[int]], Known] = {}


def known_to(implicit: bool, decode: Decoder, watched: frozenset[int]) -> Known:
    """What was written last under these circumstances."""
    found = _KNOWN.get((implicit, decode, watched))
    if found is None:
        if len(_KNOWN) >= MOST_SETS:
            _KNOWN.clear()
        found = _KNOWN[implicit, decode, watched] = Known()
    return found


def forget() -> None:
    """Know nothing, as at first."""
    _KNOWN.clear()
