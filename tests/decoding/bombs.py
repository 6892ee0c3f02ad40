"""Frames that are small and cost much."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

SCANS = 3000


def endless_jpeg(size: int = 4000, scans: int = SCANS) -> tuple[bytes, np.ndarray]:
    """A progressive JPEG whose last scan comes again and again, and an array of its shape: each of them goes over every
    block of the picture, for some dozen bytes of the file."""
    blank = np.zeros((size, size), np.uint8)
    file = io.BytesIO()
    Image.fromarray(blank).save(file, "JPEG", progressive=True, quality=50)
    whole = file.getvalue()
    last = whole.rindex(b"\xff\xda")
    tables = whole.rindex(b"\xff\xc4", 0, last)
    return whole[:-2] + whole[tables:-2] * scans + whole[-2:], blank
