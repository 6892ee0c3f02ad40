"""Stored grey values to 8 bits: Modality LUT, VOI LUT, polarity (PS3.4 N.2, PS3.3 C.11.1 and C.11.2).

Values of up to 16 bits go through one table: the whole chain is worked out for the 65 536 values there are,
and the frame is looked up in it, which costs a tenth of arithmetic on each pixel. Wider values and floats go
through the same chain in blocks.

Without a window or VOI LUT a frame of up to 8 bits keeps its full range (a secondary capture is already what
should be seen), any other is stretched from its least to its greatest value, padding left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archive.dicom.errors import InvalidQuery
from archive.dicom.metadata_values import Metadata, item_at, items, number, numbers, text
from archive.dicom.pixels.lookup_tables import LookupTable, lookup_table, through_table
from archive.dicom.pixels.pixel_description import PixelDescription

Array = NDArray[Any]

_BLOCK = 1 << 20
_FARTHEST = 1e300
_SHARED_GROUPS, _FRAME_GROUPS = "52009229", "52009230"
_PIXEL_VALUE_TRANSFORMATION, _FRAME_VOI_LUT = "00289145", "00289132"


def _linear(values: Array, center: float, width: float) -> Array:
    """C.11.2.1.2.1; a width of 1 is a threshold."""
    if width <= 1:
        return np.where(values > center - 0.5, 1.0, 0.0)
    return (values - (center - 0.5)) / (width - 1) + 0.5


def _linear_exact(values: Array, center: float, width: float) -> Array:
    """C.11.2.1.3.2."""
    return (values - center) / width + 0.5


def _sigmoid(values: Array, center: float, width: float) -> Array:
    """C.11.2.1.3.1; the exponent is bounded, as the result is 0 or 1 long before it overflows."""
    return 1 / (1 + np.exp(np.clip(-4 * (values - center) / width, -700, 700)))


WINDOW_FUNCTIONS: dict[str, Callable[[Array, float, float], Array]] = {
    "LINEAR": _linear,
    "LINEAR_EXACT": _linear_exact,
    "SIGMOID": _sigmoid,
}
"""The Defined Terms of VOILUTFunction; the `window` parameter spells them in lower case with a hyphen."""


@dataclass(frozen=True, slots=True)
class Window:
    """WindowCenter, WindowWidth and VOILUTFunction in either spelling. Raises InvalidQuery for what is no
    window."""

    center: float
    width: float
    function: str = "LINEAR"

    def __post_init__(self) -> None:
        if self._key not in WINDOW_FUNCTIONS:
            raise InvalidQuery("The window function is linear, linear-exact or sigmoid.")
        least = 1.0 if self._key == "LINEAR" else 0.0
        if not np.isfinite([self.center, self.width]).all() or self.width < least or self.width == 0:
            raise InvalidQuery(
                "The window width is at least 1 for linear, and greater than 0 for the others."
            )

    @property
    def _key(self) -> str:
        return self.function.strip().upper().replace("-", "_")

    def apply(self, values: Array) -> Array:
        """0 to 1 from modality values, not yet clipped."""
        return WINDOW_FUNCTIONS[self._key](values, self.center, self.width)


@dataclass(frozen=True, slots=True)
class _Chain:
    """All that happens between a stored value and 8 bits."""

    modality: LookupTable | tuple[float, float]
    voi: LookupTable | Window
    inverted: bool
    presentation: LookupTable | None = None

    def apply(self, stored: Array) -> Array:
        values = _modality_values(self.modality, stored)
        shown = self.voi.apply(values)
        if isinstance(self.voi, LookupTable):
            shown = shown / ((1 << self.voi.bits) - 1)
        shown = np.clip(np.nan_to_num(shown, nan=0.0), 0, 1)
        if self.presentation is not None:
            shown = _through_all(self.presentation, shown)
        return np.asarray((1 - shown if self.inverted else shown) * 255 + 0.5, np.uint8)


def to_grey(
    stored: Array, description: PixelDescription, metadata: Metadata, frame_number: int, window: Window | None
) -> Array:
    """One frame as 8-bit grey, 0 black. `frame_number` counts from 1 and picks the frame's functional groups;
    `window` replaces what the data set says. Never raises for odd values in the data set: it does without
    them."""
    attributes = frame_attributes(metadata, frame_number)
    modality = _modality(attributes, description)
    chain = _Chain(
        modality,
        window or _voi(attributes, description) or _full(stored, modality, description, attributes),
        _is_inverted(attributes, description),
        _presentation_lut(attributes, description),
    )
    table = through_table(stored, chain.apply)
    return _computed(stored, chain) if table is None else table


def frame_attributes(metadata: Metadata, frame_number: int) -> Metadata:
    """`metadata` with the transformation and VOI of the frame's functional groups in it (PS3.3 C.7.6.16)."""
    groups = [*items(metadata, _SHARED_GROUPS)[:1], *item_at(metadata, _FRAME_GROUPS, frame_number)]
    merged = dict(metadata)
    for group in groups:
        for sequence in (_PIXEL_VALUE_TRANSFORMATION, _FRAME_VOI_LUT):
            for item in items(group, sequence)[:1]:
                merged.update(item)
    return merged


def identity_window(attributes: Metadata, description: PixelDescription) -> Window:
    """The window that leaves modality values as they are: all that a stored value may become is shown."""
    half = 1 << (description.BitsStored - 1)
    ends = (-half, half - 1) if description.PixelRepresentation else (0, 2 * half - 1)
    return _window_over(_modality(attributes, description), *ends)


def _through_all(table: LookupTable, shown: Array) -> Array:
    """0 to 1 over all entries of a table, to 0 to 1 (PS3.3 C.11.6)."""
    last = len(table.entries) - 1
    found = table.entries[np.rint(shown * last).astype(np.int32)]
    return np.asarray(found / ((1 << table.bits) - 1))


def _presentation_lut(attributes: Metadata, description: PixelDescription) -> LookupTable | None:
    for item in items(attributes, "20500010")[:1]:
        return lookup_table(item, description)
    return None


def _computed(stored: Array, chain: _Chain) -> Array:
    flat = stored.reshape(-1)
    grey = np.empty(flat.shape, np.uint8)
    for start in range(0, len(flat), _BLOCK):
        part = slice(start, start + _BLOCK)
        grey[part] = chain.apply(flat[part].astype(np.float64))
    return grey.reshape(stored.shape)


def _modality(attributes: Metadata, description: PixelDescription) -> LookupTable | tuple[float, float]:
    for item in items(attributes, "00283000")[:1]:
        table = lookup_table(item, description)
        if table:
            return table
    return number(attributes, "00281053", 1.0) or 1.0, number(attributes, "00281052", 0.0)


def _modality_values(modality: LookupTable | tuple[float, float], stored: Array) -> Array:
    if isinstance(modality, LookupTable):
        return modality.apply(stored)
    slope, intercept = modality
    return stored * slope + intercept


def _voi(attributes: Metadata, description: PixelDescription) -> LookupTable | Window | None:
    """The first VOI LUT, else the first window. An object may offer several as alternatives (C.11.2.1.1)."""
    for item in items(attributes, "00283010")[:1]:
        table = lookup_table(item, description)
        if table:
            return table
    centers, widths = numbers(attributes, "00281050"), numbers(attributes, "00281051")
    if not centers or not widths:
        return None
    try:
        return Window(centers[0], widths[0], text(attributes, "00281056") or "LINEAR")
    except InvalidQuery:
        return None


def _full(
    stored: Array,
    modality: LookupTable | tuple[float, float],
    description: PixelDescription,
    attributes: Metadata,
) -> Window:
    """The window that shows everything."""
    return _window_over(modality, *_limits(stored, description, attributes))


def _window_over(modality: LookupTable | tuple[float, float], lowest: float, highest: float) -> Window:
    if isinstance(modality, LookupTable):
        ends = modality.apply(np.linspace(lowest, highest, min(int(highest - lowest), 65535) + 1))
    else:
        ends = _modality_values(modality, np.array([lowest, highest]))
    ends = np.clip(np.nan_to_num(ends), -_FARTHEST, _FARTHEST)
    least, greatest = float(ends.min()), float(ends.max())
    return Window((least + greatest) / 2, (greatest - least) or 1.0, "LINEAR_EXACT")


def _limits(stored: Array, description: PixelDescription, attributes: Metadata) -> tuple[float, float]:
    if stored.dtype.kind != "f" and description.BitsStored <= 8:
        half = 1 << (description.BitsStored - 1)
        return (-half, half - 1) if description.PixelRepresentation else (0, 2 * half - 1)
    shown = stored[np.isfinite(stored)] if stored.dtype.kind == "f" else stored
    padding = numbers(attributes, "00280120")[:1]
    if padding and shown.size:
        first, last = sorted((padding[0], number(attributes, "00280121", padding[0])))
        shown = shown[(shown < first) | (shown > last)]
    return (float(shown.min()), float(shown.max())) if shown.size else (0.0, 1.0)


def _is_inverted(attributes: Metadata, description: PixelDescription) -> bool:
    """MONOCHROME1 shows its least value white, whatever PresentationLUTShape adds (C.7.6.3.1.2, C.11.6)."""
    return description.PhotometricInterpretation == "MONOCHROME1" or text(attributes, "20500020") == "INVERSE"
