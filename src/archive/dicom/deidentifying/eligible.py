"""Whether an object may go into a de-identified share at all. Pixels are not cleaned, so what may say in them whose it
is stays out, and so does what is prose: kinds of objects have to be known here to be harmless, all others are left out.
"""

from __future__ import annotations

from archive.dicom.metadata_values import Metadata, text, values

_PLAIN = frozenset(
    (
        "1.2.840.10008.5.1.4.1.1.1.1",  # Digital X-Ray, which has to say whether text is burned in
        "1.2.840.10008.5.1.4.1.1.1.1.1",
        "1.2.840.10008.5.1.4.1.1.1.2",  # Digital Mammography
        "1.2.840.10008.5.1.4.1.1.1.2.1",
        "1.2.840.10008.5.1.4.1.1.13.1.3",  # Breast Tomosynthesis
        "1.2.840.10008.5.1.4.1.1.2",  # CT
        "1.2.840.10008.5.1.4.1.1.2.1",
        "1.2.840.10008.5.1.4.1.1.2.2",
        "1.2.840.10008.5.1.4.1.1.4",  # MR
        "1.2.840.10008.5.1.4.1.1.4.1",
        "1.2.840.10008.5.1.4.1.1.4.3",
        "1.2.840.10008.5.1.4.1.1.4.4",
        "1.2.840.10008.5.1.4.1.1.20",  # Nuclear Medicine
        "1.2.840.10008.5.1.4.1.1.128",  # PET
        "1.2.840.10008.5.1.4.1.1.128.1",
        "1.2.840.10008.5.1.4.1.1.130",
        "1.2.840.10008.5.1.4.1.1.481.2",  # RT Dose
        "1.2.840.10008.5.1.4.1.1.66.4",  # Segmentation
        "1.2.840.10008.5.1.4.1.1.30",  # Parametric Map
    )
)
_OFTEN_TEXT = frozenset(
    (
        "1.2.840.10008.5.1.4.1.1.1",  # Computed Radiography
        "1.2.840.10008.5.1.4.1.1.3.1",  # Ultrasound
        "1.2.840.10008.5.1.4.1.1.6.1",
        "1.2.840.10008.5.1.4.1.1.6.2",
        "1.2.840.10008.5.1.4.1.1.7",  # Secondary Capture
        "1.2.840.10008.5.1.4.1.1.7.1",
        "1.2.840.10008.5.1.4.1.1.7.2",
        "1.2.840.10008.5.1.4.1.1.7.3",
        "1.2.840.10008.5.1.4.1.1.7.4",
        "1.2.840.10008.5.1.4.1.1.12.1",  # X-Ray Angiography and Radiofluoroscopy
        "1.2.840.10008.5.1.4.1.1.12.1.1",
        "1.2.840.10008.5.1.4.1.1.12.2",
        "1.2.840.10008.5.1.4.1.1.12.2.1",
    )
)
"""In only where they say that no text is burned in."""
_TEXT_MODALITIES = frozenset(("CR", "DOC", "ES", "GM", "HC", "OT", "RF", "SC", "SR", "US", "XA", "XC"))
_CAPTURED = ("SCREEN", "REPORT", "PROTOCOL", "DOSE", "CAPTURE")
"""Words in the Image Type of pictures of a console, which vendors store as CT or MR."""


def obstacle(sop_class_uid: str, metadata: Metadata) -> str:
    """Why this object cannot be de-identified; empty if it can."""
    if sop_class_uid not in _PLAIN | _OFTEN_TEXT:
        return "this kind of object is not de-identified here, as it may be prose, a photograph or private"
    burned_in = text(metadata, "00280301").strip().upper()
    if burned_in not in ("", "NO"):
        return "it says that text is burned into its pixels"
    if text(metadata, "00280302").strip().upper() not in ("", "NO"):
        return "it says that the patient can be recognised in its pixels"
    if any(
        tag.startswith("60") and tag.endswith("0010") and f"{tag[:4]}3000" not in metadata for tag in metadata
    ):
        return "it has an overlay within its pixels"
    if not burned_in and (why := _often_text(sop_class_uid, metadata)):
        return f"{why} often has text burned in, and it does not say that it has none"
    return ""


def _often_text(sop_class_uid: str, metadata: Metadata) -> str:
    modality = text(metadata, "00080060").strip().upper()
    if sop_class_uid in _OFTEN_TEXT or modality in _TEXT_MODALITIES:
        return f"what is {modality or 'of its kind'}"
    kinds = [str(kind).strip().upper() for kind in values(metadata, "00080008")]
    is_captured = "00080064" in metadata or any(word in kind for word in _CAPTURED for kind in kinds)
    return "a captured or secondary image" if is_captured or kinds[1:2] == ["SECONDARY"] else ""
