"""How a frame is to look as a picture for people: the rendering parameters as one value (PS3.18 8.3.5.1)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from archive.dicom.errors import InvalidQuery
from archive.dicom.rendering.colour_profiles import EMBEDDERS, PROFILES
from archive.dicom.rendering.greyscale import Window
from archive.dicom.rendering.viewport import Viewport

USUAL_QUALITY = 90
ICC_PROFILE_VALUES = ("no", "yes", *PROFILES)


@dataclass(frozen=True, slots=True)
class Appearance:
    """`quality` (1 to 100) is for JPEG. `annotation` are keywords of `annotation.KEYWORDS`. `icc_profile` is one of
    ICC_PROFILE_VALUES, or empty, which leaves colours as they are and says nothing of them. Raises InvalidQuery."""

    quality: int = USUAL_QUALITY
    window: Window | None = None
    viewport: Viewport | None = None
    annotation: tuple[str, ...] = ()
    icc_profile: str = ""

    def __post_init__(self) -> None:
        if not 1 <= self.quality <= 100:
            raise InvalidQuery("The quality is between 1 and 100.")
        if self.icc_profile and self.icc_profile not in ICC_PROFILE_VALUES:
            raise InvalidQuery(f"The iccprofile is one of {', '.join(ICC_PROFILE_VALUES)}.")

    @property
    def wants_profile(self) -> bool:
        """Whether the picture must hold a profile."""
        return self.icc_profile not in ("", "no")

    def check_media_type(self, media_type: str) -> None:
        """Raises InvalidQuery for a profile in a media type that cannot hold one (8.3.5.1.5)."""
        if self.wants_profile and media_type not in EMBEDDERS:
            raise InvalidQuery(
                f"The iccprofile is no for {media_type}, which holds no profile; {' and '.join(EMBEDDERS)} do."
            )

    def annotated(self, keywords: tuple[str, ...]) -> Appearance:
        """The same with these annotations."""
        return replace(self, annotation=keywords)
