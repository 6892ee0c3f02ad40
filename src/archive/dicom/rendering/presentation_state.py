"""Softcopy presentation states (PS3.3 A.33, PS3.4 annex N): which images they are for, and what they say of one frame.

What a presentation state says replaces what the image says: a LUT that it leaves out is the identity, whatever the
image has (PS3.4 N.2.1). `softcopy` draws what is worked out here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from archive.dicom.metadata_values import Metadata, integer, items, number, numbers, text, values
from archive.dicom.pixels.pixel_description import PixelDescription
from archive.dicom.rendering.viewport import MOST_PIXELS

_CLASSES = "1.2.840.10008.5.1.4.1.1.11."
GRAYSCALE, COLOR, PSEUDO_COLOR = (f"{_CLASSES}{number}" for number in (1, 2, 3))
RENDERED_CLASSES = frozenset((GRAYSCALE, COLOR, PSEUDO_COLOR))
"""The SOP classes whose presentation is carried out here."""

MOST_REFERENCES = 10_000
MOST_ANNOTATIONS = 2_000
_MOST_MAGNIFICATION = 1e4

_REFERENCED_SERIES, _REFERENCED_IMAGES = "00081115", "00081140"
_MODALITY = ("00283000", "00281052", "00281053", "00281054")
_VOI = ("00283010", "00281050", "00281051", "00281056")
_PRESENTATION_LUT = ("20500010", "20500020")
_GROUPS = ("52009229", "52009230")
_PALETTE = (
    "00281101",
    "00281102",
    "00281103",
    "00281201",
    "00281202",
    "00281203",
    "00281221",
    "00281222",
    "00281223",
)
_OF_THE_IMAGE = frozenset((*_MODALITY, *_VOI, *_PRESENTATION_LUT, *_GROUPS))


@dataclass(frozen=True, slots=True)
class Reference:
    """Images that a presentation state is for: one instance, all of it or some frames; without `instance` all of the
    series."""

    series: str
    instance: str = ""
    frames: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class DisplayedArea:
    """The part of the image matrix that is shown, in pixels from 0, the ends excluded. Rows are `down` times and
    columns `across` times as large as they are many."""

    left: int
    top: int
    right: int
    bottom: int
    down: float = 1.0
    across: float = 1.0
    magnification: float | None = None


@dataclass(frozen=True, slots=True)
class Annotation:
    """One item of the Graphic Annotation Sequence with the grey of its layer, 0 to 255."""

    item: Metadata
    grey: int


@dataclass(frozen=True, slots=True)
class Presentation:
    """All that a presentation state says of one frame."""

    sop_class: str
    metadata: Metadata
    voi: Metadata
    area: DisplayedArea | None
    annotations: tuple[Annotation, ...]
    rotation: int
    flipped: bool

    def of_image(self, image: Metadata) -> Metadata:
        """The image's attributes with the grey scale transformations of the presentation state in place of its own."""
        kept = {tag: element for tag, element in image.items() if tag not in _OF_THE_IMAGE}
        kept["00280004"] = {"vr": "CS", "Value": ["MONOCHROME2"]}
        for source, tags in ((self.metadata, (*_MODALITY, *_PRESENTATION_LUT)), (self.voi, _VOI)):
            kept.update({tag: source[tag] for tag in tags if tag in source})
        return kept

    @property
    def palette(self) -> Mapping[str, Any] | None:
        """The palette of a pseudo-color presentation state."""
        if self.sop_class != PSEUDO_COLOR:
            return None
        return {tag: self.metadata[tag] for tag in _PALETTE if tag in self.metadata}


def references(metadata: Metadata) -> Iterator[Reference]:
    """The images that it is for, in its order, `MOST_REFERENCES` images and frames at most (PS3.3 C.11.11)."""
    left = MOST_REFERENCES
    for series in items(metadata, _REFERENCED_SERIES):
        uid, images = text(series, "0020000E"), items(series, _REFERENCED_IMAGES)
        if uid and not images and left > 0:
            left -= 1
            yield Reference(uid)
        for image in images[:left]:
            if left <= 0:
                return
            frames = tuple(int(frame) for frame in numbers(image, "00081160") if frame >= 1)[:left]
            left -= max(1, len(frames))
            yield Reference(uid, text(image, "00081155"), frames)


def presentation(
    sop_class: str, metadata: Metadata, sop_instance_uid: str, frame: int, description: PixelDescription
) -> Presentation:
    """What the presentation state says of this frame of this instance."""

    def applying(tag: str) -> list[Metadata]:
        return [item for item in items(metadata, tag) if _applies(item, sop_instance_uid, frame)]

    areas, vois = applying("0070005A"), applying("00283110")
    greys = _layers(metadata)
    annotations = [Annotation(item, greys.get(text(item, "00700002"), 255)) for item in applying("00700001")]
    return Presentation(
        sop_class=sop_class,
        metadata=metadata,
        voi=vois[0] if vois else {},
        area=_area(areas[0], description) if areas else None,
        annotations=tuple(annotations[:MOST_ANNOTATIONS]),
        rotation=integer(metadata, "00700042", 0) % 360 // 90 * 90,
        flipped=text(metadata, "00700041") == "Y",
    )


def _applies(item: Metadata, sop_instance_uid: str, frame: int) -> bool:
    """An item without references is for all images."""
    wanted = items(item, _REFERENCED_IMAGES)
    for image in wanted:
        frames = numbers(image, "00081160")
        if text(image, "00081155") == sop_instance_uid and (not frames or frame in frames):
            return True
    return not wanted


def _layers(metadata: Metadata) -> dict[str, int]:
    """The grey of each graphic layer, by its name; P-Values have 16 bits (PS3.3 C.10.7)."""
    return {
        text(layer, "00700002"): min(max(integer(layer, "00700066", 0xFFFF), 0), 0xFFFF) >> 8
        for layer in items(metadata, "00700060")
    }


def _area(item: Metadata, description: PixelDescription) -> DisplayedArea | None:
    """PS3.3 C.10.4: corners count from 1, both are shown, and either may be the upper left one before the image is
    turned."""
    first, last = numbers(item, "00700052"), numbers(item, "00700053")
    if len(first) != 2 or len(last) != 2:
        return None
    left, right = sorted((int(first[0]), int(last[0])))
    top, bottom = sorted((int(first[1]), int(last[1])))
    down, across = _aspect(item)
    magnify = text(item, "00700100") == "MAGNIFY"
    magnification = number(item, "00700103", 1.0) if magnify else None
    area = DisplayedArea(left - 1, top - 1, right, bottom, down, across, magnification)
    return area if _is_near(area, description) else None


def _is_near(area: DisplayedArea, description: PixelDescription) -> bool:
    """Whether it shows some of the image, and not much more than it: a stranger's numbers."""
    meets = (
        area.left < description.Columns and area.top < description.Rows and area.right > 0 and area.bottom > 0
    )
    width, height = area.right - area.left, area.bottom - area.top
    largest = 4 * max(description.Columns, description.Rows)
    return (
        meets
        and max(width, height) <= largest
        and width * height <= max(description.Columns * description.Rows, MOST_PIXELS)
    )


def _aspect(item: Metadata) -> tuple[float, float]:
    """Height and width of a pixel, the smaller one 1, from its spacing or its aspect ratio."""
    pair = numbers(item, "00700101") or numbers(item, "00700102")
    if len(pair) != 2 or min(pair) <= 0 or max(pair) / min(pair) > 8:
        return 1.0, 1.0
    return pair[0] / min(pair), pair[1] / min(pair)


def magnification(metadata: Metadata) -> float:
    """The largest of its displayed areas, 1 when none is magnified."""
    areas = (item for item in items(metadata, "0070005A") if text(item, "00700100") == "MAGNIFY")
    return max((min(number(area, "00700103", 1.0), _MOST_MAGNIFICATION) for area in areas), default=1.0)


def shutter_shapes(metadata: Metadata) -> set[str]:
    """RECTANGULAR, CIRCULAR, POLYGONAL, as far as they are used (PS3.3 C.7.6.11)."""
    return {shape for shape in values(metadata, "00181600") if isinstance(shape, str)}
