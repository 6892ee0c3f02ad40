"""The files of pydicom and of pydicom-data that the archive does not take, each with the error and its reason."""

from __future__ import annotations

from archive.dicom import errors

_NO_PREFIX = (errors.NotDicom, "the prefix DICM is missing")
_NO_STUDY = (errors.MissingAttribute, "StudyInstanceUID is absent or empty")
_NO_CLASS = (errors.MissingAttribute, "SOPClassUID is absent or empty")
_NO_PIXELS = (errors.CannotUnderstand, "no pixel data")
_DIRECTORY = (errors.UnsupportedSOPClass, "Media Storage Directory")
_PALETTE = (errors.UnsupportedSOPClass, "Color Palette")

REFUSED: dict[str, tuple[type[errors.InvalidObject], str]] = {
    # no PS3.10 files: data sets without a header, and texts
    **dict.fromkeys(
        ("ExplVR_BigEndNoMeta.dcm", "ExplVR_LitEndNoMeta.dcm", "no_meta.dcm", "rtstruct.dcm"), _NO_PREFIX
    ),
    **dict.fromkeys(
        ("JLSL_RGB_ILV0.dcm", "JLSL_RGB_ILV1.dcm", "JLSL_RGB_ILV2.dcm", "JLSN_RGB_ILV0.dcm"), _NO_PREFIX
    ),
    **dict.fromkeys(("OT-PAL-8-face.dcm", "README.txt", "README", "LICENSE", "FileInfo.txt"), _NO_PREFIX),
    "meta_missing_tsyntax.dcm": (errors.CannotUnderstand, "no Transfer Syntax UID"),
    # cut off
    "MR_truncated.dcm": (errors.CannotUnderstand, "(7FE0,0010) declares 8192 bytes, 8130 are there"),
    "rtplan_truncated.dcm": (errors.CannotUnderstand, "(300A,012C) declares 50 bytes, 29 are there"),
    "emri_small_jpeg_2k_lossless_too_short.dcm": (errors.CannotUnderstand, "inside the value of (7FE0,0010)"),
    "DICOMDIR-nooffset": (errors.CannotUnderstand, "reaches past the value of (0004,1220)"),
    # images described, but without pixel data
    **dict.fromkeys(("chrJapMulti.dcm", "chrJapMultiExplicitIR6.dcm", "chrKoreanMulti.dcm"), _NO_PIXELS),
    # nobody's
    **dict.fromkeys(("DICOMDIR", "DICOMDIR-bigEnd", "DICOMDIR-empty.dcm", "DICOMDIR-implicit"), _DIRECTORY),
    **dict.fromkeys(("DICOMDIR-nopatient", "DICOMDIR-reordered"), _DIRECTORY),
    **dict.fromkeys(("fall.dcm", "hotiron.dcm", "hotmetalblue.dcm", "pet.dcm", "pet20step.dcm"), _PALETTE),
    **dict.fromkeys(("spring.dcm", "summer.dcm", "winter.dcm"), _PALETTE),
    # fragments of data sets that the library's tests need, without identity
    **dict.fromkeys(
        ("chrSQEncoding.dcm", "chrSQEncoding1.dcm", "UN_sequence.dcm", "empty_charset_LEI.dcm"), _NO_CLASS
    ),
    **dict.fromkeys(("nested_priv_SQ.dcm", "no_meta_group_length.dcm", "priv_SQ.dcm"), _NO_CLASS),
    **dict.fromkeys(
        ("JPEGLSNearLossless_08.dcm", "JPEGLSNearLossless_16.dcm", "SC_rgb_jls_lossy_line.dcm"), _NO_STUDY
    ),
    **dict.fromkeys(
        ("SC_rgb_jls_lossy_sample.dcm", "HTJ2KLossless_08_RGB.dcm", "HTJ2K_08_RGB.dcm"), _NO_STUDY
    ),
    **dict.fromkeys(("JLSL_08_07_0_1F.dcm", "JLSL_16_15_1_1F.dcm"), _NO_STUDY),
    "bad_sequence.dcm": (errors.InvalidUID, "(0008,0018)"),
}
