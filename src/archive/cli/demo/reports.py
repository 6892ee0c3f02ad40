"""What is said of the demonstration's CT: a structured report, and the same as a PDF."""

from __future__ import annotations

from collections.abc import Sequence

from pydicom.dataset import Dataset
from pydicom.uid import BasicTextSRStorage, EncapsulatedPDFStorage

from archive.cli.demo.patients import Series, attributes, code

FINDINGS = (
    "Rounded dense lesion of 24 x 20 mm in the left frontal white matter, 68 HU, as of fresh blood.",
    "Cystic mass of 24 mm in the right parieto-occipital region.",
    "Ventricles symmetrical, of normal width. Calcified pineal gland and choroid plexus.",
    "Skull intact.",
)
IMPRESSION = "A phantom of ellipsoids, after Shepp and Logan. Nobody is ill: `archive demo` made this study."


def structured_report(series: Series, number: int) -> Dataset:
    """A Basic Text SR: findings and impression."""
    return attributes(
        series.begin(BasicTextSRStorage, number),
        ReferencedPerformedProcedureStepSequence=[],
        PerformedProcedureCodeSequence=[],
        CompletionFlag="COMPLETE",
        VerificationFlag="UNVERIFIED",
        ValueType="CONTAINER",
        ContinuityOfContent="SEPARATE",
        ConceptNameCodeSequence=[code("18748-4", "LN", "Diagnostic Imaging Report")],
        ContentSequence=[
            _section("59776-5", "Findings", ("121071", "Finding"), FINDINGS),
            _section("19005-8", "Impressions", ("121073", "Impression"), [IMPRESSION]),
        ],
    )


def _section(value: str, title: str, of_texts: tuple[str, str], texts: Sequence[str]) -> Dataset:
    return attributes(
        Dataset(),
        RelationshipType="CONTAINS",
        ValueType="CONTAINER",
        ContinuityOfContent="SEPARATE",
        ConceptNameCodeSequence=[code(value, "LN", title)],
        ContentSequence=[_text(of_texts, text) for text in texts],
    )


def _text(name: tuple[str, str], text: str) -> Dataset:
    return attributes(
        Dataset(),
        RelationshipType="CONTAINS",
        ValueType="TEXT",
        ConceptNameCodeSequence=[code(name[0], "DCM", name[1])],
        TextValue=text,
    )


def pdf_report(series: Series, number: int) -> Dataset:
    """The same as a page."""
    document = pdf("CT head: report", (*FINDINGS, "", IMPRESSION))
    return attributes(
        series.begin(EncapsulatedPDFStorage, number),
        AcquisitionDateTime="",
        ConversionType="WSD",
        BurnedInAnnotation="YES",
        DocumentTitle="CT head: report",
        ConceptNameCodeSequence=[code("18748-4", "LN", "Diagnostic Imaging Report")],
        MIMETypeOfEncapsulatedDocument="application/pdf",
        EncapsulatedDocument=document + bytes(len(document) % 2),
        EncapsulatedDocumentLength=len(document),
    )


def pdf(title: str, paragraphs: Sequence[str]) -> bytes:
    """One page of text, by hand: a library would put the time of making into it."""
    lines = [line for paragraph in paragraphs for line in _broken(paragraph)]
    typed = "".join(f"({_escaped(line)}) Tj T*\n" for line in lines)
    page = f"BT /F2 18 Tf 60 770 Td ({_escaped(title)}) Tj ET\nBT /F1 11 Tf 16 TL 60 735 Td\n{typed}ET\n"
    fonts = "/F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> "
    fonts += "/F2 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica-Bold >>"
    objects = (
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R "
        f"/Resources << /Font << {fonts} >> >> >>",
        f"<< /Length {len(page)} >>\nstream\n{page}endstream",
    )
    made, places = "%PDF-1.4\n", []
    for number, each in enumerate(objects, 1):
        places.append(len(made))
        made += f"{number} 0 obj\n{each}\nendobj\n"
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    size = len(objects) + 1
    end = f"xref\n0 {size}\n0000000000 65535 f \n{table}"
    return f"{made}{end}trailer\n<< /Size {size} /Root 1 0 R >>\nstartxref\n{len(made)}\n%%EOF\n".encode(
        "ascii"
    )


def _broken(paragraph: str, width: int = 84) -> list[str]:
    lines = [""]
    for word in paragraph.split(" "):
        if len(lines[-1]) + len(word) >= width:
            lines.append("")
        lines[-1] += f" {word}" if lines[-1] else word
    return lines


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
