"""A stored frame to an array, and to a picture: the face of all that this package knows about pixel data.

    pixel_description   what the data set says of a frame, and the pixel budget
    codestreams         how large a compressed frame says it is
    codecs              TABLE transfer syntax -> decoder
    photometric         TABLE photometric interpretation -> 8-bit picture
    greyscale           Modality LUT, VOI LUT, windows, Presentation LUT
    lookup_tables       LUTs and palettes
    presentation_state  what a presentation state says of a frame; softcopy draws it
    viewport            cut, flip, scale
    colour_profiles     ICC profiles
    annotation          text that is burned in; lettering draws it
    gif                 GIF, and animations

imagecodecs writes JPEG and PNG: on a 512 x 512 CT it takes 0.4 ms for JPEG and 3 ms for PNG (libpng level 1,
filter Up), Pillow 0.5 and 6 ms at the same size of file.

Decoders are C code reading a stranger's bytes. What can be checked before they run is checked; a crash inside
one is for whoever runs them in a process that may die: `decoder`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from archive.dicom.errors import CannotRender, NotAcceptable
from archive.dicom.metadata_values import Metadata
from archive.dicom.pixels.codecs import DECODERS, Decoded, decode_frame
from archive.dicom.pixels.decoder import HERE, Decoder
from archive.dicom.pixels.pixel_description import PixelDescription, describe
from archive.dicom.rendering import annotation, colour_profiles, gif
from archive.dicom.rendering.appearance import USUAL_QUALITY, Appearance
from archive.dicom.rendering.greyscale import Window, identity_window
from archive.dicom.rendering.lettering import Lettering
from archive.dicom.rendering.photometric import coloured, to_picture
from archive.dicom.rendering.presentation_state import GRAYSCALE, PSEUDO_COLOR, Presentation
from archive.dicom.rendering.softcopy import presented
from archive.dicom.rendering.viewport import Viewport, shown
from archive.dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN

Array = NDArray[Any]

_GREY = ("MONOCHROME1", "MONOCHROME2")


@dataclass(frozen=True, slots=True)
class StoredFrame:
    """One frame as stored: native and little endian, or its codestream, with the DICOM JSON Model of its instance.
    `number` (from 1) picks the functional groups of an enhanced multi-frame object. `profile` is the ICC profile that
    the object has for it."""

    data: bytes
    metadata: Metadata
    transfer_syntax_uid: str
    number: int = 1
    profile: bytes | None = None


@dataclass(frozen=True, slots=True)
class Picture:
    """A frame as it is to be seen, 8 bits, grey or RGB, and its profile if it must hold one."""

    pixels: Array
    profile: bytes = b""


def decode(frame: bytes, metadata: Metadata, transfer_syntax_uid: str) -> Array:
    """The stored values of one frame: (Rows, Columns) or (Rows, Columns, 3), colours as they are stored.

    `frame` is native and little endian, or the frame's codestream; `metadata` the instance's DICOM JSON
    Model. Raises CannotRender."""
    return decode_frame(frame, describe(metadata), transfer_syntax_uid).values


def check(metadata: Metadata, transfer_syntax_uid: str = EXPLICIT_VR_LITTLE_ENDIAN) -> None:
    """Raises CannotRender if `picture` would for what the data set says of its frames: before one is read."""
    describe(metadata)
    if transfer_syntax_uid not in DECODERS:
        raise CannotRender(f"There is no decoder for transfer syntax {transfer_syntax_uid}.")


def picture(
    frame: StoredFrame,
    appearance: Appearance,
    lettering: Lettering,
    decoder: Decoder,
    presentation: Presentation | None = None,
) -> Picture:
    """One frame as it is to be seen: grey scale or colours first, then geometry, annotations last (PS3.4 N.2). Raises
    CannotRender, InvalidQuery for a viewport that cannot be."""
    description = describe(frame.metadata)
    decoded = decoder.values(frame.data, description, frame.transfer_syntax_uid)
    if presentation is None:
        pixels = to_picture(decoded, description, frame.metadata, frame.number, appearance.window)
    else:
        pixels = _under(presentation, decoded, description, frame)
    pixels, profile = _with_profile(pixels, frame, appearance.icc_profile)
    if presentation is None:
        pixels = shown(pixels, frame.metadata, appearance.viewport)
    else:
        pixels = presented(pixels, presentation, appearance.viewport, lettering)
    return Picture(_annotated(pixels, frame, appearance, lettering), profile)


def encode(made: Picture, media_type: str, quality: int = USUAL_QUALITY) -> bytes:
    """The picture as `media_type`, a key of PICTURES. Raises CannotRender, NotAcceptable for another media type."""
    if media_type not in PICTURES:
        raise NotAcceptable(f"A frame is rendered as {' or '.join(PICTURES)}.")
    try:
        data = PICTURES[media_type](np.ascontiguousarray(made.pixels), quality)
    except (OSError, RuntimeError, ValueError) as failure:
        raise CannotRender(f"The picture cannot be written as {media_type}.") from failure
    embed = colour_profiles.EMBEDDERS.get(media_type)
    return embed(data, made.profile) if made.profile and embed else data


def render(
    frame: bytes,
    metadata: Metadata,
    transfer_syntax_uid: str,
    media_type: str,
    *,
    quality: int = USUAL_QUALITY,
    window: Window | None = None,
    viewport: Viewport | None = None,
    frame_number: int = 1,
) -> bytes:
    """One frame as a picture of `media_type`, without anything written on it, decoded in this process. Raises as
    `picture` and `encode`."""
    if media_type not in PICTURES:
        raise NotAcceptable(f"A frame is rendered as {' or '.join(PICTURES)}.")
    stored = StoredFrame(frame, metadata, transfer_syntax_uid, frame_number)
    made = picture(stored, Appearance(quality, window, viewport), Lettering(), HERE)
    return encode(made, media_type, quality)


def _under(
    presentation: Presentation, decoded: Decoded, description: PixelDescription, frame: StoredFrame
) -> Array:
    """Grey goes through the presentation state's own transformations, colour through none (PS3.4 N.2)."""
    grey = decoded.PhotometricInterpretation in _GREY and presentation.sop_class in (GRAYSCALE, PSEUDO_COLOR)
    if not grey:
        return to_picture(decoded, description, frame.metadata, frame.number, None)
    description = replace(description, PhotometricInterpretation="MONOCHROME2")
    metadata = presentation.of_image(frame.metadata)
    decoded = replace(decoded, PhotometricInterpretation="MONOCHROME2")
    identity = None if presentation.voi or description.is_float else identity_window(metadata, description)
    pixels = to_picture(decoded, description, metadata, frame.number, identity)
    return pixels if presentation.palette is None else coloured(pixels, presentation.palette, description)


def _with_profile(pixels: Array, frame: StoredFrame, wanted: str) -> tuple[Array, bytes]:
    """The picture in the colour space that is asked for, and the profile that says so. Grey becomes RGB, as a profile
    of an RGB device describes nothing else."""
    if wanted in ("", "no"):
        return pixels, b""
    source = colour_profiles.source_profile(frame.metadata, frame.profile, frame.data)
    if pixels.ndim == 2:
        pixels, source = np.repeat(pixels[:, :, np.newaxis], 3, axis=2), colour_profiles.PROFILES["srgb"]()
    if wanted == "yes":
        return pixels, source
    return colour_profiles.transformed(pixels, source, wanted), colour_profiles.PROFILES[wanted]()


def _annotated(pixels: Array, frame: StoredFrame, appearance: Appearance, lettering: Lettering) -> Array:
    top, bottom = (
        annotation.lines(keyword, frame.metadata, frame.number, lettering)
        if keyword in appearance.annotation
        else []
        for keyword in ("patient", "technique")
    )
    return lettering.burn_in(pixels, top, bottom)


def _jpeg(pixels: Array, quality: int) -> bytes:
    """Chroma at full resolution: annotations burnt into ultrasound are thin coloured lines."""
    return bytes(imagecodecs.jpeg8_encode(pixels, quality, subsampling="444"))


def _png(pixels: Array, _quality: int) -> bytes:
    return bytes(
        imagecodecs.png_encode(
            pixels, level=1, strategy=imagecodecs.PNG.STRATEGY.FILTERED, filter=imagecodecs.PNG.FILTER.UP
        )
    )


def _gif(pixels: Array, _quality: int) -> bytes:
    return gif.encode(pixels)


PICTURES: dict[str, Callable[[Array, int], bytes]] = {
    "image/jpeg": _jpeg,
    "image/png": _png,
    "image/gif": _gif,
}
"""Media type -> encoder of an 8-bit picture. The first is the default (PS3.18 Table 8.7.4-1)."""
