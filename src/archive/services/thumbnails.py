"""The one small picture that stands for a study, series, instance or frame (PS3.18 10.4.3.3.4).

Of a series the instance in its middle is shown, as the first of a stack is often air; of a study that of the series
with most images; of whole slides the overview. Nothing is written on it. What says itself whose it is (burned-in text,
a face, a slide's label) is not shown, nor is a report: a drawn symbol with the modality stands for them, as for
whatever cannot be rendered. So what is stored always has a thumbnail.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from copy import copy

from archive.dicom.errors import CannotRender, NotFound
from archive.dicom.instance import StoredInstance
from archive.dicom.metadata_values import Metadata, text
from archive.dicom.rendering import pixel_data
from archive.dicom.rendering.appearance import Appearance
from archive.dicom.rendering.lettering import Lettering
from archive.dicom.rendering.pictogram import pictogram
from archive.dicom.rendering.pixel_data import Picture
from archive.dicom.rendering.rendition import Category, category, extent, may_identify, representative_frame
from archive.dicom.rendering.viewport import Viewport
from archive.dicom.sop_classes import sop_class_name
from archive.services.rendering import Rendering, Shown
from archive.services.retrieve import Retrieve

USUAL_SIDE = 128
LARGEST_SIDE = 1024

_TRIES = 4
_MOST_SLIDES = 50
_IMAGES = (Category.SINGLE_FRAME, Category.MULTI_FRAME)
_WHOLE_SLIDE = "1.2.840.10008.5.1.4.1.1.77.1.6"


class Thumbnails:
    """Thumbnails of what is stored, for every door."""

    def __init__(self, retrieve: Retrieve, rendering: Rendering) -> None:
        self._retrieve = retrieve
        self._rendering = rendering
        self._lettering = Lettering()

    def of_others(self, retrieve: Retrieve, rendering: Rendering) -> Thumbnails:
        """The same of what can be retrieved there."""
        others = copy(self)
        others._retrieve, others._rendering = retrieve, rendering
        return others

    def of(self, found: Sequence[StoredInstance], media_type: str, viewport: Viewport) -> bytes:
        """A thumbnail of these instances. Raises NotAcceptable for a media type that is none."""
        candidates = list(itertools.islice(self._candidates(found), _TRIES))
        for instance in candidates:
            if picture := self._of_image(instance, 0, media_type, viewport):
                return picture
        return self._symbol(candidates[0], media_type, viewport)

    def of_frame(self, instance: StoredInstance, frame: int, media_type: str, viewport: Viewport) -> bytes:
        """A thumbnail of one frame. Raises NotFound when there is no such frame, NotAcceptable."""
        self._retrieve.frames_of(instance, [frame]).frames.close()
        picture = self._of_image(instance, frame, media_type, viewport)
        return picture or self._symbol(instance, media_type, viewport)

    def _of_image(self, instance: StoredInstance, frame: int, media_type: str, viewport: Viewport) -> bytes:
        """Empty when it is no image, or must not or cannot be shown. Frame 0: the one that stands for all."""
        try:
            metadata = self._rendering.metadata(instance)
            kind = category(instance.SOPClassUID, instance.transfer_syntax_uid, metadata)
            if kind not in _IMAGES or may_identify(metadata):
                return b""
            if not frame:
                count = 1 if kind is Category.SINGLE_FRAME else self._retrieve.number_of_frames(instance)
                frame = representative_frame(metadata, max(count, 1))
            return self._rendering.picture(Shown(instance, frame), media_type, Appearance(viewport=viewport))
        except (CannotRender, NotFound):
            return b""

    def _symbol(self, instance: StoredInstance, media_type: str, viewport: Viewport) -> bytes:
        try:
            metadata = self._rendering.metadata(instance)
        except NotFound:
            metadata = {}
        kind = category(instance.SOPClassUID, instance.transfer_syntax_uid, metadata)
        size = (viewport.width, viewport.height)
        drawn = pictogram(kind, text(metadata, "00080060"), *size, self._lettering)
        return pixel_data.encode(Picture(drawn), media_type)

    def _candidates(self, found: Sequence[StoredInstance]) -> Iterator[StoredInstance]:
        """Instances that may stand for all, the best first."""
        series = [list(group) for _, group in itertools.groupby(found, key=lambda one: one.SeriesInstanceUID)]
        for instances in sorted(series, key=_rank, reverse=True):
            if instances[0].SOPClassUID == _WHOLE_SLIDE:
                yield from self._slides(instances[:_MOST_SLIDES])
            else:
                yield instances[len(instances) // 2]

    def _slides(self, instances: Sequence[StoredInstance]) -> list[StoredInstance]:
        """The levels of a whole slide, the smallest first; its label last."""

        def rank(instance: StoredInstance) -> tuple[bool, float]:
            metadata: Metadata = self._rendering.metadata(instance)
            return may_identify(metadata), extent(metadata)

        return sorted(instances, key=rank)


def _rank(instances: Sequence[StoredInstance]) -> tuple[bool, int]:
    """Images before anything else, many before few."""
    return "Image Storage" in sop_class_name(instances[0].SOPClassUID), len(instances)
