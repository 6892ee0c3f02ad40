"""Storage commitment over HTTP (PS3.18 chapter 13): Request and Result Check.

The request is read as metadata are, in JSON or XML, alone or in the parts of one multipart body (example B.29), which
together are one request. JSON comes as one object, as the standard's examples have it, or as an array of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import orjson

from archive.dicom.identifiers import check_uid
from archive.dicom.instance import Source
from archive.dicom.reading import xml_model
from archive.dicom.receiving import commitment
from archive.dicom.receiving.commitment import Verdict
from archive.dicom.receiving.received import DataSet
from archive.web import data_set_body
from archive.web.data_set_body import DataSetBody
from archive.web.http import charset, media_types
from archive.web.http.crossing import read_all
from archive.web.http.exchange import Answer, Asked
from archive.web.http.media_types import DICOM_JSON, DICOM_XML, JSON, Offer
from archive.web.http.multipart_body import Part, related

if TYPE_CHECKING:
    from archive.bootstrap.building import Archive

DOOR = "DICOMweb"
MAXIMUM_BYTES = 16 << 20
"""Of a request: about 20,000 references in XML, which take a core two seconds and 40 MiB to read in JSON."""
RETRY_AFTER_SECONDS = 10

OFFERS = (
    Offer(DICOM_JSON),
    Offer(JSON),
    Offer(DICOM_XML),
    Offer(DICOM_JSON, multipart=True),
    Offer(DICOM_XML, multipart=True),
)


def request(archive: Archive, asked: Asked) -> DataSetBody:
    """Ask for the safekeeping of instances. Raises RequestRefused (415), InvalidUID, NotAcceptable; with the body
    CannotUnderstand, MissingAttribute, InvalidUID, TransactionInUse."""
    media_types.choose(asked.accept, OFFERS)
    transaction_uid = _transaction(asked)

    def act(data_sets: Iterator[DataSet]) -> Answer:
        """Decide, or leave it to the jobs."""
        source = Source(door=DOOR, address=asked.peer_address)
        verdicts = archive.commitment.request(transaction_uid, commitment.references(data_sets), source)
        return _answer(asked, verdicts)

    return data_set_body.taker(asked, act, "a commitment request", MAXIMUM_BYTES)


def result(archive: Archive, asked: Asked) -> Answer:
    """What became of a request: 200 with the verdicts, or 202 as long as they are worked on. Raises NotFound, Gone,
    InvalidUID, NotAcceptable."""
    media_types.choose(asked.accept, OFFERS)
    return _answer(asked, archive.commitment.result(_transaction(asked)))


def _transaction(asked: Asked) -> str:
    return check_uid(asked.path["transaction"], commitment.TRANSACTION_UID)


def _answer(asked: Asked, verdicts: list[Verdict] | None) -> Answer:
    if verdicts is None:
        return Answer(202, headers=(("Retry-After", str(RETRY_AFTER_SECONDS)),))
    chosen = media_types.choose(asked.accept, OFFERS)
    module: dict[str, Any] = commitment.module(verdicts)
    if chosen.media_type == DICOM_XML:
        spoken = charset.chosen(asked, DICOM_XML, multipart=chosen.multipart)
        body = charset.encoded(xml_model.text(module), spoken, markup=True)
    else:
        body = orjson.dumps(module)
    if chosen.multipart:
        made = related(chosen.media_type, (Part(chosen.media_type, (body,), length=len(body)),))
        assert isinstance(made.body, Iterator)
        return replace(made, body=read_all(made.body))
    return Answer(200, chosen.media_type, body)
