"""README.TXT of a medium, which IHE PDI wants (RAD TF-2 4.47): who made it, what is on it, and how to read it.

Plain text in ASCII with the ends of lines that every system takes; it names no patient.
"""

from __future__ import annotations

import textwrap
from datetime import datetime
from importlib.metadata import version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from archive.cli.exporting import Exported


def readme(result: Exported, contact: str) -> str:
    """The text. `contact` are lines about the institution."""
    today = datetime.now().astimezone().strftime("%Y-%m-%d")
    paragraphs = [
        "MEDICAL IMAGES IN DICOM FORMAT",
        f"Made on {today} by:\n{contact}" if contact else f"Made on {today}.",
        f"On this medium: {counted(result)}.",
        *_missing(result),
        "DICOMDIR is the directory of the images (DICOM PS3.10, IHE Portable Data for Imaging). The folder DICOM has "
        "the images and documents. There is no program on this medium. Open DICOMDIR with a DICOM viewer, or import "
        "the medium into an image archive.",
        "This medium holds personal medical data. Give it only to whom it is meant for. If you found it, please give "
        "it back to whoever made it.",
        f"Written by: DICOM archive {version('dicom-archive')}. Each file was read back and compared.",
    ]
    text = "\n\n".join("\n".join(textwrap.wrap(line, 76)) for line in _lines(paragraphs))
    return text.replace("\n", "\r\n") + "\r\n"


def counted(result: Exported) -> str:
    """How much there is."""
    numbers = (
        (result.files, "instance", "instances"),
        (result.studies, "study", "studies"),
        (result.patients, "patient", "patients"),
    )
    return ", ".join(f"{number} {one if number == 1 else several}" for number, one, several in numbers)


def _lines(paragraphs: list[str]) -> list[str]:
    return [line for paragraph in paragraphs for line in paragraph.split("\n")]


def _missing(result: Exported) -> list[str]:
    if not result.failed:
        return []
    return [
        f"NOT COMPLETE: {len(result.failed)} instances of these studies could not be read and are missing.",
        *sorted(result.failed),
    ]
