"""What is stored before the checks run: the studies, and in each the oddities that some check looks for."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from pydicom.dataset import Dataset
from pydicom.pixels.encoders import RLELosslessEncoder

from conformance import objects, pictures, uids
from conformance.objects import Object, compressed, image, instance, pixels, ramp, ramp8, series, study

JAPANESE = "Yamada^Tarou=山田^太郎=やまだ^たろう"
CYRILLIC = "Люкceмбypг^Иван"
GREEK = "Διονυσιος^Νικος"
MULTI_FRAMES = 3


def _item(**attributes: object) -> Dataset:
    ds = Dataset()
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    return ds


def ct_study(run: str) -> list[Object]:
    """Three CT slices and an MR image: private attributes, a request, awkward values, bulk data."""
    of = study(
        run, "CT", PatientName="Kestrel^Anna^Maria^Dr^PhD", StudyID=objects.AWKWARD_STUDY_ID, PatientSex="F"
    )
    of.OtherPatientIDsSequence = [
        _item(PatientID=f"OTHER{run}", IssuerOfPatientID="SUITE", TypeOfPatientID="TEXT")
    ]
    requests = [_item(ScheduledProcedureStepID=f"SPS-{n}", RequestedProcedureID=f"RP-{n}") for n in (1, 2)]
    ct = series(
        of, "CT", 11, SeriesDescription="Suite axial", PerformedProcedureStepStartDate="20240228",
        PerformedProcedureStepStartTime="081500", RequestAttributesSequence=requests,
    )  # fmt: skip
    found = [Object(f"ct{n}", image(ct, n)) for n in (1, 2, 3)]
    for n, one in enumerate(found, 1):
        bulk = bytes(range(256)) * (objects.BULK_SIZE // 256) if n == 3 else b""
        objects.private_block(one.dataset, f"private value {n}", bulk)
    found[0].dataset.PatientComments = ""
    mr = series(of, "MR", 12, SeriesDescription="Suite sagittal")
    return [*found, Object("mr1", image(mr, 1, uids.MR))]


def multi_frame_study(run: str) -> list[Object]:
    """Three frames of eight bits, each of one level; a picture in colour."""
    of = study(run, "MF", StudyDate="20240301", StudyTime="090000")
    frames = np.stack([np.full((6, 10), 60 * (n + 1), np.uint8) for n in range(MULTI_FRAMES)])
    many = instance(series(of, "OT", 1), uids.MULTI_FRAME_BYTE, 1, ConversionType="SYN")
    pixels(many, frames, 8)
    colour = instance(series(of, "OT", 2), uids.SECONDARY_CAPTURE, 1, ConversionType="SYN")
    pixels(colour, ramp8(), 8)
    colour.SamplesPerPixel, colour.PhotometricInterpretation, colour.PlanarConfiguration = 3, "RGB", 0
    red = np.zeros((objects.ROWS, objects.COLUMNS, 3), np.uint8)
    red[:, :, 0] = ramp8()
    colour.PixelData = red.tobytes()
    return [Object("mf", many), Object("rgb", colour)]


def dated_studies(run: str) -> list[Object]:
    """One patient's studies on three days, and one in another time zone."""
    days = {"t1": ("20230704", "0800"), "t2": ("20230705", "2330"), "t3": ("20230706", "1000")}
    found = []
    for name, (date, time) in days.items():
        of = study(run, name, PatientID=f"CONF{run}-T", StudyDate=date, StudyTime=f"{time}00")
        found.append(Object(name, image(series(of, "CT", 1), 1)))
    of = study(run, "zone", StudyDate="20230801", StudyTime="010000", TimezoneOffsetFromUTC="+0900")
    return [*found, Object("zone", image(series(of, "CT", 1), 1))]


def encodings_study(run: str) -> list[Object]:
    """The ramp in every transfer syntax that the suite can write."""
    of = series(study(run, "TS"), "CT", 1)
    native = [
        Object(name, image(of, n), syntax)
        for n, (name, syntax) in enumerate(
            {"deflated": uids.DEFLATED, "implicit": uids.IMPLICIT, "big": uids.BIG_ENDIAN}.items(), 1
        )
    ]
    native[2].dataset.PixelData = ramp().astype(">u2").tobytes()
    rle = image(of, 4)
    compressed(rle, [_rle(rle, ramp().tobytes())])
    lossless = compressed(image(of, 5), [pictures.jpeg_lossless(ramp())])
    lossy = image(of, 6, LossyImageCompression="01", LossyImageCompressionRatio="3.6")
    pixels(lossy, ramp8(), 8)
    compressed(lossy, [objects.baseline_jpeg()])
    many = instance(series(study(run, "RF"), "OT", 1), uids.MULTI_FRAME_BYTE, 1, ConversionType="SYN")
    frames = np.stack([ramp8() // (n + 1) for n in range(MULTI_FRAMES)])
    pixels(many, frames, 8)
    many.PixelData, raw = b"", [frame.tobytes() for frame in frames]
    compressed(many, [_rle(many, frame) for frame in raw])
    return [
        *native,
        Object("rle", rle, uids.RLE),
        Object("lossless", lossless, uids.JPEG_LOSSLESS),
        Object("lossy", lossy, uids.JPEG_BASELINE),
        Object("rlemf", many, uids.RLE),
    ]


def _rle(ds: Dataset, frame: bytes) -> bytes:
    options = {
        "rows": ds.Rows, "columns": ds.Columns, "samples_per_pixel": 1, "number_of_frames": 1,
        "bits_allocated": ds.BitsAllocated, "bits_stored": ds.BitsStored, "pixel_representation": 0,
        "photometric_interpretation": "MONOCHROME2", "encoding_plugin": "pydicom",
    }  # fmt: skip
    return bytes(RLELosslessEncoder.encode(frame, index=None, **options))


SEGMENT_FRAMES = ("000001000010101", "111110000011111", "101010101010101")


def segmentation_study(run: str) -> list[Object]:
    """A segmentation of three frames of fifteen bits, so that the second begins inside a byte."""
    ds = instance(series(study(run, "SEG"), "SEG", 1), uids.SEGMENTATION, 1)
    ds.ImageType, ds.SegmentationType, ds.ContentLabel = ["DERIVED", "PRIMARY"], "BINARY", "SUITE"
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PixelRepresentation = 1, "MONOCHROME2", 0
    ds.Rows, ds.Columns, ds.NumberOfFrames = 3, 5, len(SEGMENT_FRAMES)
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.LossyImageCompression = 1, 1, 0, "00"
    code = _item(CodeValue="85756007", CodingSchemeDesignator="SCT", CodeMeaning="Tissue")
    ds.SegmentSequence = [
        _item(
            SegmentNumber=1, SegmentLabel="Suite", SegmentAlgorithmType="MANUAL",
            SegmentedPropertyCategoryCodeSequence=[code], SegmentedPropertyTypeCodeSequence=[code],
        )
    ]  # fmt: skip
    bits = np.array([int(bit) for bit in "".join(SEGMENT_FRAMES)], np.uint8)
    packed = np.packbits(bits, bitorder="little").tobytes()
    ds.add_new(0x7FE00010, "OB", packed + b"\0" * (len(packed) % 2))
    return [Object("seg", ds)]


def document_study(run: str) -> list[Object]:
    """A report, a PDF, and an image with the presentation state that inverts it."""
    of = study(run, "DOC")
    report = instance(series(of, "SR", 1), uids.BASIC_TEXT_SR, 1, CompletionFlag="COMPLETE")
    report.VerificationFlag, report.ValueType, report.ContinuityOfContent = (
        "UNVERIFIED",
        "CONTAINER",
        "SEPARATE",
    )
    title = _item(CodeValue="121070", CodingSchemeDesignator="DCM", CodeMeaning="Findings")
    report.ConceptNameCodeSequence = [title]
    report.ContentSequence = [
        _item(
            RelationshipType="CONTAINS",
            ValueType="TEXT",
            ConceptNameCodeSequence=[title],
            TextValue=REPORT_TEXT,
        )
    ]
    paper = instance(series(of, "DOC", 2), uids.ENCAPSULATED_PDF, 1, BurnedInAnnotation="NO")
    paper.DocumentTitle, paper.MIMETypeOfEncapsulatedDocument = "Suite", "application/pdf"
    paper.EncapsulatedDocument, paper.EncapsulatedDocumentLength = objects.pdf(), len(objects.pdf())
    shown = study(run, "PR")
    picture = image(series(shown, "CT", 1), 1)
    state = instance(series(shown, "PR", 2), uids.GREYSCALE_STATE, 1)
    _presentation(state, picture)
    return [Object("sr", report), Object("pdf", paper), Object("shown", picture), Object("pr", state)]


REPORT_TEXT = "A kingfisher of the conformance suite: Grün & <übel>"


def _presentation(state: Dataset, picture: Dataset) -> None:
    state.ContentLabel, state.PresentationLUTShape = "SUITE", "INVERSE"
    state.PresentationCreationDate, state.PresentationCreationTime = "20240229", "101530"
    one = _item(ReferencedSOPClassUID=picture.SOPClassUID, ReferencedSOPInstanceUID=picture.SOPInstanceUID)
    state.ReferencedSeriesSequence = [
        _item(SeriesInstanceUID=picture.SeriesInstanceUID, ReferencedImageSequence=[one])
    ]
    state.SoftcopyVOILUTSequence = [_item(WindowCenter="128", WindowWidth="256")]
    state.DisplayedAreaSelectionSequence = [
        _item(
            DisplayedAreaTopLeftHandCorner=[1, 1], PresentationPixelAspectRatio=[1, 1],
            DisplayedAreaBottomRightHandCorner=[objects.COLUMNS, objects.ROWS], PresentationSizeMode="SCALE TO FIT",
        )
    ]  # fmt: skip


def name_studies(run: str) -> list[Object]:
    """Names that ASCII cannot hold, in three character sets."""
    sets = {
        "jp": (JAPANESE, ["", "ISO 2022 IR 87"]),
        "ru": (CYRILLIC, "ISO_IR 144"),
        "gr": (GREEK, "ISO_IR 192"),
    }
    found = []
    for name, (person, character_set) in sets.items():
        of = study(run, name, SpecificCharacterSet=character_set, PatientName=person)
        found.append(Object(name, image(series(of, "CT", 1), 1)))
    return found


def sparse_studies(run: str) -> list[Object]:
    """Two studies of one patient, one with empty values."""
    found = []
    for name, filled in (("empty", False), ("filled", True)):
        of = study(run, name, PatientID=f"CONF{run}-E")
        if not filled:
            of.AccessionNumber, of.StudyID, of.ReferringPhysicianName = "", "", ""
        found.append(Object(name, image(series(of, "CT", 1), 1)))
    return found


def long_series(run: str) -> list[Object]:
    """Seven instances in one series, for pages."""
    of = series(study(run, "PAGE"), "CT", 1)
    return [Object(f"page{n}", image(of, n)) for n in range(1, 8)]


Corpus = dict[str, Object]

MAKERS: tuple[Callable[[str], list[Object]], ...] = (
    ct_study,
    multi_frame_study,
    dated_studies,
    encodings_study,
    segmentation_study,
    document_study,
    name_studies,
    sparse_studies,
    long_series,
)


def corpus(run: str) -> Corpus:
    """Everything that is stored before the checks run, by name."""
    return {one.name: one for maker in MAKERS for one in maker(run)}
