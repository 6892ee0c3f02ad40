"""WADO-RS: metadata of a study, a series or an instance (PS3.18 10.4.1.1.2), in JSON or XML.

The JSON of each instance was made when it was stored; here it only gets its brackets. XML is made from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import orjson

from archive.dicom import xml_model
from archive.web import media_types
from archive.web.exchange import Answer, Asked
from archive.web.media_types import DICOM_JSON, DICOM_XML, JSON, Offer
from archive.web.multipart_body import Part, related
from archive.web.wado import scope_of, url_of

if TYPE_CHECKING:
    from archive.bootstrap import Archive

OFFERS = (Offer(DICOM_JSON), Offer(JSON), Offer(DICOM_XML, multipart=True))
"""The representations of a list of data sets; search answers have the same."""


def metadata(archive: Archive, asked: Asked) -> Answer:
    """All attributes of every instance, bulk data by URI. Raises NotFound, NotAcceptable, InvalidUID."""
    chosen = media_types.choose(asked.accept, OFFERS)
    texts = archive.retrieve.metadata(scope_of(asked), lambda instance: url_of(asked, instance))
    if chosen.media_type == DICOM_XML:
        return related(DICOM_XML, xml_parts(orjson.loads(text) for text in texts))
    return Answer(200, chosen.media_type, json_array(texts))


def json_array(texts: Iterable[bytes]) -> Iterator[bytes]:
    """JSON texts as one array."""
    before = b"["
    for text in texts:
        yield before + text
        before = b","
    yield b"]" if before == b"," else b"[]"


def xml_parts(data_sets: Iterable[xml_model.DataSet]) -> Iterator[Part]:
    """One part for each data set."""
    for data_set in data_sets:
        document = xml_model.document(data_set)
        yield Part(DICOM_XML, (document,), length=len(document))
