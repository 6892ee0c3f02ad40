"""What an object can be rendered as: TABLE Resource Category -> media types (PS3.18 Tables 8.7.2-1 and 8.7.4-1).

The category follows from what is in the object, not from a list of SOP classes, so that private and future ones have
one as well.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

from archive.dicom.metadata_values import Metadata, integer, item_at, items, number, numbers, text, values
from archive.dicom.rendering.encapsulated import ENCAPSULATED_DOCUMENT
from archive.dicom.rendering.pixel_data import PICTURES
from archive.dicom.rendering.presentation_state import RENDERED_CLASSES
from archive.dicom.rendering.report_text import WRITERS
from archive.dicom.rendering.structured_report import is_report
from archive.dicom.transfer_syntaxes import transfer_syntax


class Category(enum.Enum):
    """The standard's Resource Categories; it has one for reports and documents, and none for presentation states."""

    SINGLE_FRAME = "single frame image"
    MULTI_FRAME = "multi-frame image"
    VIDEO = "video"
    REPORT = "report"
    DOCUMENT = "encapsulated document"
    PRESENTATION_STATE = "presentation state"
    OTHER = "other"


ANIMATION = "image/gif"
STILLS = tuple(PICTURES)

MEDIA_TYPES: Mapping[Category, tuple[str, ...]] = {
    Category.SINGLE_FRAME: STILLS,
    Category.MULTI_FRAME: (ANIMATION, *(name for name in STILLS if name != ANIMATION)),
    Category.VIDEO: (),
    Category.REPORT: tuple(WRITERS),
    Category.DOCUMENT: (),
    Category.PRESENTATION_STATE: STILLS,
    Category.OTHER: (),
}
"""The default first. Videos and documents have the one type that they are stored as. Frames as stills are an
additional type for a multi-frame image."""

_PIXELS = ("7FE00010", "7FE00008", "7FE00009")
_IMAGE_TYPE, _SPECIMEN_LABEL = "00080008", "00480010"
_BURNED_IN, _RECOGNIZABLE = "00280301", "00280302"
_FRAME_GROUPS = "52009230"


def category(sop_class: str, transfer_syntax_uid: str, metadata: Metadata) -> Category:
    """The category of an instance."""
    if sop_class in RENDERED_CLASSES:
        return Category.PRESENTATION_STATE
    if any(tag in metadata for tag in _PIXELS):
        if transfer_syntax(transfer_syntax_uid).video:
            return Category.VIDEO
        return Category.MULTI_FRAME if integer(metadata, "00280008", 1) > 1 else Category.SINGLE_FRAME
    if ENCAPSULATED_DOCUMENT in metadata:
        return Category.DOCUMENT
    return Category.REPORT if is_report(metadata) else Category.OTHER


def may_identify(metadata: Metadata) -> bool:
    """Whether the pixels themselves may say whose they are: text burned in, a face, a slide's label."""
    flagged = any(text(metadata, tag) == "YES" for tag in (_BURNED_IN, _RECOGNIZABLE, _SPECIMEN_LABEL))
    return flagged or "LABEL" in values(metadata, _IMAGE_TYPE)


def representative_frame(metadata: Metadata, number_of_frames: int) -> int:
    """The frame that stands for all: the one that the object names, else that in the middle, as the first of a stack is
    often air."""
    named = integer(metadata, "00286010", 0)
    return named if 1 <= named <= number_of_frames else (number_of_frames + 1) // 2


def extent(metadata: Metadata) -> float:
    """How many pixels a tiled image has in all; 0 for one that is not tiled."""
    return number(metadata, "00480006", 0.0) * number(metadata, "00480007", 0.0)


def order_of_frame(metadata: Metadata, frame: int) -> tuple[tuple[float, ...], ...]:
    """By what frames under a presentation state are ordered: Dimension Index Values, then Image Position (Patient),
    then Image Position Volume (PS3.18 8.3.5.1.6)."""
    group = next(iter(item_at(metadata, _FRAME_GROUPS, frame)), {})

    def inside(sequence: str, tag: str) -> tuple[float, ...]:
        return next((numbers(item, tag) for item in items(group, sequence)), ())

    position = inside("00209113", "00200032") or numbers(metadata, "00200032")
    return inside("00209111", "00209157"), position, inside("0020930E", "00209301")
