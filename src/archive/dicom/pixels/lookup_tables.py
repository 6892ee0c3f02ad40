"""Lookup tables of the data set: Modality, VOI (PS3.3 C.11.1, C.11.2) and palettes (C.7.6.3.1.5, C.7.9).

An index outside a table takes its first or last entry, and a table shorter than its descriptor ends where its
data ends, so no pixel value can reach beyond it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archive.dicom.errors import CannotRender
from archive.dicom.metadata_values import Metadata, binary, numbers
from archive.dicom.pixels.pixel_description import PixelDescription

Array = NDArray[Any]

LUT_DESCRIPTOR, LUT_DATA = "00283002", "00283006"
PALETTE_DESCRIPTORS = ("00281101", "00281102", "00281103")
PALETTE_DATA = ("00281201", "00281202", "00281203")
SEGMENTED_PALETTE_DATA = ("00281221", "00281222", "00281223")

NEEDED_INLINE = frozenset({LUT_DATA, *PALETTE_DATA, *SEGMENTED_PALETTE_DATA})
"""Values that have to stand in the metadata itself (InlineBinary, or Value for US), not behind a
BulkDataURI."""

_MOST_ENTRIES = 65536
_MOST_BITS = 16
_BLOCK = 1 << 16


@dataclass(frozen=True, slots=True)
class LookupTable:
    """`entries[0]` is for the value `first`. `bits`: how many an entry has."""

    first: int
    entries: Array
    bits: int

    def apply(self, values: Array) -> Array:
        """The entry of each value."""
        position = np.clip(values - float(self.first), 0, len(self.entries) - 1)
        return np.asarray(self.entries[position.astype(np.int32)])


def through_table(stored: Array, change: Callable[[Array], Array]) -> Array | None:
    """`change` of each stored value, worked out once for all values from the least to the greatest; None for values
    of more than 16 bits. `change` takes float64 and may add a dimension."""
    if stored.dtype.kind not in "iu" or stored.dtype.itemsize > 2 or not stored.size:
        return None
    least, greatest = stored.min(), stored.max()
    every = np.arange(int(least), int(greatest) + 1, dtype=np.float64)
    unsigned = np.dtype(f"<u{stored.dtype.itemsize}")
    place = stored.view(unsigned) - least.view(
        unsigned
    )  # modulo 2^16, which is the distance of signed values too
    return _looked_up(np.asarray(change(every)), place)


def _looked_up(table: Array, place: Array) -> Array:
    """In blocks: numpy widens indices to 64 bits, of a whole frame to memory that the kernel would have to give."""
    flat = place.reshape(-1)
    found = np.empty((flat.size, *table.shape[1:]), table.dtype)
    for start in range(0, flat.size, _BLOCK):
        block = slice(start, start + _BLOCK)
        np.take(table, flat[block], axis=0, out=found[block], mode="clip")
    return found.reshape(*place.shape, *table.shape[1:])


def lookup_table(item: Metadata, description: PixelDescription) -> LookupTable | None:
    """The table in an item of a LUT sequence; None when it has no descriptor or no data."""
    descriptor = _descriptor(item, LUT_DESCRIPTOR, description)
    if descriptor is None:
        return None
    count, first, bits = descriptor
    data = binary(item, LUT_DATA)
    entries = np.array(numbers(item, LUT_DATA)[:count], float) if data is None else _entries(data, count)
    if not len(entries):
        return None
    entries = np.clip(entries.astype(float), 0, (1 << _MOST_BITS) - 1)
    least_bits = max(int(entries.max()).bit_length(), 1)
    return LookupTable(first, entries, min(max(bits, least_bits), _MOST_BITS))


def palette(metadata: Metadata, description: PixelDescription) -> LookupTable:
    """The palette, its entries (n, 3) of 8 bits. Raises CannotRender when there is none."""
    descriptor = _descriptor(metadata, PALETTE_DESCRIPTORS[0], description)
    if descriptor is None:
        raise CannotRender("PALETTE COLOR without a Palette Color Lookup Table Descriptor.")
    count, first, bits = descriptor
    channels = [_channel(metadata, index, count, bits) for index in range(3)]
    shortest = min(map(len, channels))
    if not shortest:
        raise CannotRender("PALETTE COLOR without Palette Color Lookup Table Data.")
    entries = np.stack([channel[:shortest] for channel in channels], axis=1)
    # whatever the descriptor says: 8-bit values are found in 16-bit entries, in the low byte or in both
    return LookupTable(first, (entries >> 8 if entries.max() > 255 else entries).astype(np.uint8), 8)


def _descriptor(metadata: Metadata, tag: str, description: PixelDescription) -> tuple[int, int, int] | None:
    """Entries (0 means 65536), first value mapped, bits of an entry; US or SS, and often the wrong one of
    them."""
    found = numbers(metadata, tag)
    if len(found) != 3:
        return None
    count, first, bits = (int(value) for value in found)
    if description.PixelRepresentation and first > 0x7FFF:
        first -= 0x10000
    return (count & 0xFFFF) or _MOST_ENTRIES, first, bits


def _entries(data: bytes, count: int) -> Array:
    """Entries of 16 bits, or of 8 when there is no room for 16."""
    kind = "<u2" if len(data) >= 2 * count else "u1"
    size = np.dtype(kind).itemsize
    return np.frombuffer(data[: len(data) // size * size], kind)[:count]


def _channel(metadata: Metadata, index: int, count: int, bits: int) -> Array:
    data = binary(metadata, PALETTE_DATA[index])
    if data is not None:
        return _entries(data, count).astype(np.uint16)
    segments = binary(metadata, SEGMENTED_PALETTE_DATA[index])
    return np.zeros(0, np.uint16) if segments is None else expand_segments(segments, bits, count)


def expand_segments(data: bytes, bits: int, count: int) -> Array:
    """A segmented palette as plain entries, `count` at most (PS3.3 C.7.9.2). Raises CannotRender."""
    words = np.frombuffer(data[: len(data) // 2 * 2], "<u2") if bits > 8 else np.frombuffer(data, "u1")
    entries: list[int] = []
    _expand(words, 0, len(words), entries, count)
    return np.array(entries[:count], np.uint16)


def _expand(
    words: Array, offset: int, segments: int, entries: list[int], count: int, *, inner: bool = False
) -> None:
    """Append what up to `segments` segments from `offset` on say; an indirect segment refers to plain ones
    only. A segment without entries is refused: references to many of them would never come to an end."""
    while segments and offset + 2 < len(words) and len(entries) < count:
        kind, length = (int(word) for word in words[offset : offset + 2])
        offset, segments = offset + 2, segments - 1
        if not length:
            raise CannotRender("A segmented palette with an empty segment.")
        if kind == 0:
            entries += words[offset : offset + length].tolist()
            offset += length
        elif kind == 1 and entries:
            line = np.linspace(entries[-1], int(words[offset]), length + 1)
            entries += line.round().astype(int)[1:].tolist()
            offset += 1
        elif kind == 2 and not inner:
            end = offset + 4 // words.itemsize
            address = int.from_bytes(words[offset:end].tobytes(), "little") // words.itemsize
            _expand(words, address, length, entries, count, inner=True)
            offset = end
        else:
            raise CannotRender("A segmented palette with an impossible segment.")
