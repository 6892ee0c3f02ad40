"""Media storage: what a file-set has, and what its directory says of it, from the tables that write them."""

from __future__ import annotations

from archive.dicom.attribute_ids import keyword
from archive.dicom.writing.directory_records import KEYS
from archive.services.media import Form
from conformance.statement.table import Table

_FORMS = {
    Form.EXPLICIT: ("Explicit VR Little Endian", "STD-GEN-CD, STD-GEN-DVD-RAM"),
    Form.COMPRESSED: (
        "Explicit VR Little Endian; compressed objects as they are stored",
        "STD-GEN-DVD, STD-GEN-USB and STD-GEN-BD with JPEG or JPEG 2000, if nothing else is stored",
    ),
    Form.STORED: ("as they are stored", "none in general"),
}


def media_forms() -> Table:
    """The transfer syntaxes of each form of a file-set."""
    rows = tuple((f"`{form.value}`", *_FORMS[form]) for form in Form)
    return ("`archive export --form`", "Transfer syntaxes", "Application profiles (PS3.11)"), rows


def directory_records() -> Table:
    """The records of the directory, and their keys."""
    rows = tuple(
        (
            kind,
            ", ".join(keyword(key.tag) for key in keys if key.required),
            ", ".join(keyword(key.tag) for key in keys if not key.required),
        )
        for kind, keys in KEYS.items()
    )
    return ("Record type", "Keys that are always there", "Further keys"), rows
