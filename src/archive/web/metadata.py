"""WADO-RS: metadata of a study, a series or an instance (PS3.18 10.4.1.1.2), in JSON or XML.

The JSON of each instance was made when it was stored; here it only gets its brackets. XML is made from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

import orjson

from archive.dicom.identifiers import IMPLEMENTATION_VERSION_NAME
from archive.dicom.reading import xml_model
from archive.web.http import charset, media_types, remembered, urls
from archive.web.http.charset import UTF_8, Charset, encoded
from archive.web.http.conditional import tag
from archive.web.http.exchange import Answer, Asked
from archive.web.http.media_types import DICOM_JSON, DICOM_XML, JSON, Offer
from archive.web.http.multipart_body import Part, related
from archive.web.wado import found, url_of

if TYPE_CHECKING:
    from archive.bootstrap.building import Archive

OFFERS = (Offer(DICOM_JSON), Offer(JSON), Offer(DICOM_XML, multipart=True))
"""The representations of a list of data sets; search answers have the same."""


def metadata(archive: Archive, asked: Asked) -> Answer:
    """All attributes of every instance, bulk data by URI. Raises NotFound, NotAcceptable, InvalidUID."""
    chosen = media_types.choose(asked.accept, OFFERS)
    stored = found(archive, asked)
    states = (f"{instance.sha256} {instance.blob_key}" for instance in stored)
    texts = archive.retrieve.metadata_of(stored, lambda instance: url_of(asked, instance))
    if chosen.media_type != DICOM_XML:
        etag = tag(IMPLEMENTATION_VERSION_NAME, asked.base_url, *states)
        answer = Answer(200, chosen.media_type, json_array(texts), etag=etag)
        in_utf_8 = charset.chosen(asked, chosen.media_type).is_utf_8
        return remembered.applied(answer, asked) if in_utf_8 and len(stored) > 1 else answer
    spoken = charset.chosen(asked, DICOM_XML, multipart=True)
    parts = xml_parts(map(orjson.loads, texts), spoken, lambda data_set: _location(asked, data_set))
    etag = tag(IMPLEMENTATION_VERSION_NAME, asked.base_url, spoken.name, *states)
    return related(DICOM_XML, parts, etag=etag)


def _location(asked: Asked, data_set: xml_model.DataSet) -> str:
    uids = [str(data_set[key]["Value"][0]) for key in ("0020000D", "0020000E", "00080018")]
    return f"{urls.resource_url(asked.base_url, *uids)}/metadata"


def json_array(texts: Iterable[bytes]) -> Iterator[bytes]:
    """JSON texts as one array."""
    before = b"["
    for text in texts:
        yield before + text
        before = b","
    yield b"]" if before == b"," else b"[]"


def xml_parts(
    data_sets: Iterable[xml_model.DataSet],
    spoken: Charset = UTF_8,
    location_of: Callable[[xml_model.DataSet], str] = lambda _: "",
) -> Iterator[Part]:
    """One part for each data set, which is a representation of a resource unless it was found by a search
    (PS3.18 8.6.1.2)."""
    media_type = DICOM_XML if spoken.is_utf_8 else f"{DICOM_XML}; charset={spoken.name}"
    for data_set in data_sets:
        document = encoded(xml_model.text(data_set), spoken, markup=True)
        yield Part(media_type, (document,), location_of(data_set), len(document))
