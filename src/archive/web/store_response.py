"""The answer to a store request: Store Instances Response Module and status (PS3.18 10.5.3 and Annex I).

Table I.2-2 leaves two choices to us. Failure Reason of an identifier that is taken by other content is 0111
(Duplicate SOP Instance, PS3.7 Annex C), as C-STORE answers it; a part that cannot be read at all is C000. The
sentences go into Warning headers in the form that 10.5.3.2 recommends, as the module has no place for them. What was
coerced is told by its Warning Reason only: the Original Attributes Sequence is in the stored object. An object that was
kept aside, as its identifiers are taken, is safe and told with B000 (what is found under its UID differs from it), but
without a Retrieve URL, under which there is none or another one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from archive.dicom import errors
from archive.dicom.errors import ArchiveError, InvalidQuery, NotAcceptable, ObjectTooLarge, OutOfResources
from archive.dicom.reading import xml_model
from archive.web.http import media_types, urls
from archive.web.http.errors import RETRY_AFTER_SECONDS
from archive.web.http.exchange import Answer
from archive.web.http.media_types import DICOM_JSON, DICOM_XML, Accept, Offer

if TYPE_CHECKING:
    from archive.services.receipts import Receipt

FAILURE_REASONS: Mapping[type[ArchiveError], int] = {
    errors.ArchiveError: 0x0110,
    errors.InvalidObject: 0xC000,
    errors.MissingAttribute: 0xA900,
    errors.InvalidUID: 0xA900,
    errors.ObjectMismatch: 0xA900,
    errors.UnsupportedSOPClass: 0x0122,
    errors.UnsupportedTransferSyntax: 0xC122,
    errors.InstanceConflict: 0x0111,
    errors.NotAuthorized: 0x0124,
    errors.OutOfResources: 0xA700,
}
"""Failure Reason (0008,1197) by error class; a class without a row takes that of the class it descends from."""

WARNING_REASONS: Mapping[int, str] = {
    0xB000: "Coercion of Data Elements: the original values are in the Original Attributes Sequence",
    0xB006: "Elements Discarded: offset tables, as the pixel data were put together anew",
    0xB007: "Data Set does not match SOP Class: Lossy Image Compression is 00, and the pixel data are lossy",
}
"""Warning Reason (0008,1196) and what is said of it (table I.2-1)."""

MAXIMUM_WARNINGS = 5
_SECOND_CHOICE = "application/json"
_OFFERS = (Offer(DICOM_JSON), Offer(_SECOND_CHOICE), Offer(DICOM_XML))


@dataclass(frozen=True, slots=True)
class Failure:
    """One part that was not stored, with its identity as far as it is known.

    A body may have very many. Where the error came from would keep what was being read there, the whole of the body in
    the end, in memory until it is answered."""

    error: ArchiveError
    SOPClassUID: str = ""
    SOPInstanceUID: str = ""

    def __post_init__(self) -> None:
        self.error.__traceback__ = self.error.__context__ = self.error.__cause__ = None

    @property
    def reason(self) -> int:
        """Failure Reason (0008,1197)."""
        return next(FAILURE_REASONS[above] for above in type(self.error).__mro__ if above in FAILURE_REASONS)


@dataclass
class StoreResponse:
    """Receipts and failures as they come. `broken`: the body could not be read to its end."""

    base_url: str
    media_type: str
    receipts: list[Receipt] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    broken: bool = False

    def answer(self) -> Answer:
        """The whole answer."""
        is_xml = self.media_type == DICOM_XML
        body = xml_model.document(self._module()) if is_xml else orjson.dumps(self._module())
        return Answer(self._status(), self.media_type, body, (*self._warnings(), *self._locations()))

    def _status(self) -> int:
        """Table 10.5.3-1; with nothing stored and one cause for all, what HTTP says for that cause."""
        if self.receipts:
            return 202 if self.failures or any(receipt.warning for receipt in self.receipts) else 200
        if self.broken or not self.failures:
            return 400
        if all(isinstance(failure.error, ObjectTooLarge) for failure in self.failures):
            return 413
        if all(isinstance(failure.error, OutOfResources) for failure in self.failures):
            return 503
        return 409

    def _module(self) -> dict[str, Any]:
        studies = self._studies()
        module: dict[str, Any] = {
            "00081190": _value(
                "UR", *(urls.resource_url(self.base_url, uid) for uid in studies if len(studies) == 1)
            )
        }
        named = [failure for failure in self.failures if failure.SOPInstanceUID]
        others = [failure for failure in self.failures if not failure.SOPInstanceUID]
        if named:
            module["00081198"] = _value("SQ", *(_failed_item(failure) for failure in named))
        if self.receipts:
            module["00081199"] = _value("SQ", *(self._referenced_item(receipt) for receipt in self.receipts))
        if others:
            items = {reason: {"00081197": _value("US", reason)} for reason in {one.reason for one in others}}
            module["0008119A"] = _value("SQ", *(items[one.reason] for one in others))
        return module

    def _studies(self) -> list[str]:
        found = (receipt.StudyInstanceUID for receipt in self.receipts if receipt.is_shown)
        return list(dict.fromkeys(found))

    def _referenced_item(self, receipt: Receipt) -> dict[str, Any]:
        url = urls.resource_url(
            self.base_url, receipt.StudyInstanceUID, receipt.SeriesInstanceUID, receipt.SOPInstanceUID
        )
        item = {
            "00081150": _value("UI", receipt.SOPClassUID),
            "00081155": _value("UI", receipt.SOPInstanceUID),
            "00081190": _value("UR", *([url] if receipt.is_shown else [])),
        }
        return item | ({"00081196": _value("US", receipt.warning)} if receipt.warning else {})

    def _warnings(self) -> list[tuple[str, str]]:
        """One Warning for each kind of failure and of warning, the first few kinds."""
        texts: dict[str, None] = {}
        for text in self._remarks():
            texts[text[:1000]] = None
            if len(texts) == MAXIMUM_WARNINGS:
                break
        return [("Warning", text) for text in texts]

    def _remarks(self) -> Iterator[str]:
        for failure in self.failures:
            yield f"{failure.reason:04X} {self.base_url}: {failure.error.reason}"
        for receipt in self.receipts:
            if receipt.warning:
                yield f"{receipt.warning:04X} {self.base_url}: {_said_of(receipt)}"

    def _locations(self) -> list[tuple[str, str]]:
        if self._status() == 503:
            return [("Retry-After", str(RETRY_AFTER_SECONDS))]
        studies = self._studies()
        if len(studies) != 1:
            return []
        url = urls.resource_url(self.base_url, studies[0])
        return [("Location", url), ("Content-Location", url)]


def _said_of(receipt: Receipt) -> str:
    return receipt.remark if receipt.kept_aside else WARNING_REASONS[receipt.warning]


def _failed_item(failure: Failure) -> dict[str, Any]:
    return {
        "00081150": _value("UI", *([failure.SOPClassUID] if failure.SOPClassUID else [])),
        "00081155": _value("UI", failure.SOPInstanceUID),
        "00081197": _value("US", failure.reason),
    }


def _value(vr: str, *values: Any) -> dict[str, Any]:
    return {"vr": vr, "Value": list(values)} if values else {"vr": vr}


def answer_type(accept: Accept) -> str:
    """The media type of the answer: JSON unless the client takes XML only, and JSON for one that takes neither, as
    after a store nobody is helped by a 406. The type is exact, without a charset: dicomweb-client compares it so.

    In strict mode it raises NotAcceptable and InvalidQuery, before anything is stored."""
    try:
        chosen = media_types.choose(accept, _OFFERS).media_type
    except (NotAcceptable, InvalidQuery):
        if accept.strict:
            raise
        chosen = DICOM_JSON
    return DICOM_XML if chosen == DICOM_XML else DICOM_JSON
