"""RAD-69 of IHE XDS-I.b (dimse.md 1.6): asked by dicomtrolley, and with requests that are made by hand."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Callable
from io import BytesIO
from xml.etree import ElementTree

import httpx
import numpy as np
import pytest
import requests
from dicomtrolley.core import InstanceReference
from dicomtrolley.rad69 import Rad69, Rad69ServerError
from pydicom import Dataset, dcmread
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEG2000Lossless, RLELossless

from archive.dicom.errors import OutOfResources
from archive.dicom.instance import Scope
from archive.services.retrieve import Retrieve
from archive.web.xdsi import envelope, source
from archive.web.xdsi.documents import sorted_out
from archive.web.xdsi.envelope import ACTION, Fault, Request, Wanted
from objects import ct, data_set_bytes, part10, secondary_capture, series
from web_door import Door

REPOSITORY = "1.3.6.1.4.1000"
"""The one that dicomtrolley has in its requests."""
SOAP_TYPE = {"Content-Type": f'application/soap+xml; charset=UTF-8; action="{ACTION}"'}
NAMES = {
    "s": "http://www.w3.org/2003/05/soap-envelope",
    "a": "http://www.w3.org/2005/08/addressing",
    "d": "urn:ihe:iti:xds-b:2007",
    "r": "urn:oasis:names:tc:ebxml-regrep:xsd:rs:3.0",
    "x": "http://www.w3.org/2004/08/xop/include",
}


@pytest.fixture
def door_of_the_site(open_door: Callable[..., Door]) -> Door:
    """A door that other sites know by the repository's OID."""
    return open_door(xds__repository_unique_id=REPOSITORY)


def wanted(*data_sets: Dataset, repository: str = REPOSITORY) -> str:
    """A StudyRequest for each."""
    return "".join(
        f'<i:StudyRequest studyInstanceUID="{one.StudyInstanceUID}">'
        f'<i:SeriesRequest seriesInstanceUID="{one.SeriesInstanceUID}"><d:DocumentRequest>'
        f"<d:RepositoryUniqueId>{repository}</d:RepositoryUniqueId>"
        f"<d:DocumentUniqueId>{one.SOPInstanceUID}</d:DocumentUniqueId>"
        "</d:DocumentRequest></i:SeriesRequest></i:StudyRequest>"
        for one in data_sets
    )


def request(asked: str, *syntaxes: str, header: str = "", action: str = ACTION) -> bytes:
    """The envelope of a request."""
    listed = "".join(f"<i:TransferSyntaxUID>{uid}</i:TransferSyntaxUID>" for uid in syntaxes)
    return (
        f'<?xml version="1.0"?><s:Envelope xmlns:s="{NAMES["s"]}" xmlns:a="{NAMES["a"]}"><s:Header>'
        f'<a:Action s:mustUnderstand="1"> {action} </a:Action><a:MessageID>urn:uuid:7</a:MessageID>{header}'
        f'</s:Header><s:Body><i:RetrieveImagingDocumentSetRequest xmlns:i="urn:ihe:rad:xdsi-b:2009" '
        f'xmlns:d="{NAMES["d"]}">{asked}<i:TransferSyntaxUIDList>{listed}</i:TransferSyntaxUIDList>'
        "</i:RetrieveImagingDocumentSetRequest></s:Body></s:Envelope>"
    ).encode()


def ask(door: Door, body: bytes, **headers: str) -> httpx.Response:
    return door.client.post(source.PATH, content=body, headers=SOAP_TYPE | headers)


def taken_apart(response: httpx.Response) -> tuple[ElementTree.Element, dict[str, bytes]]:
    """The envelope, and the documents by their UID: the package is read by Python's own MIME parser."""
    head = f"Content-Type: {response.headers['content-type']}\r\n\r\n".encode()
    package = email.message_from_bytes(head + response.content, policy=email.policy.HTTP)
    assert package.get_param("type") == "application/xop+xml"
    root, *others = package.iter_parts()
    assert root["Content-ID"] == package.get_param("start")
    tree = ElementTree.fromstring(root.get_content())
    contents = {part["Content-ID"]: part.get_payload(decode=True) for part in others}
    documents = {}
    for one in tree.iterfind(".//d:DocumentResponse", NAMES):
        include = one.find("d:Document/x:Include", NAMES)
        assert include is not None
        assert one.findtext("d:mimeType", namespaces=NAMES) == "application/dicom"
        assert one.findtext("d:RepositoryUniqueId", namespaces=NAMES) == REPOSITORY
        cid = f"<{include.get('href', '').removeprefix('cid:')}>"
        documents[str(one.findtext("d:DocumentUniqueId", namespaces=NAMES))] = contents.pop(cid)
    assert not contents
    return tree, documents


def status(tree: ElementTree.Element) -> str:
    found = tree.find(".//r:RegistryResponse", NAMES)
    assert found is not None
    return found.get("status", "").rpartition(":")[2]


def errors(tree: ElementTree.Element) -> list[str]:
    return [one.get("errorCode", "") for one in tree.iterfind(".//r:RegistryError", NAMES)]


def test_dicomtrolley_gets_a_study_of_two_series(door_of_the_site: Door) -> None:
    one = series(ct, 3)
    other = series(ct, 2, StudyInstanceUID=one[0].StudyInstanceUID)
    stored = {data_set.SOPInstanceUID: part10(data_set) for data_set in (*one, *other)}
    assert door_of_the_site.store(*stored.values()).status_code == 200
    references = [
        InstanceReference(
            study_uid=data_set.StudyInstanceUID,
            series_uid=data_set.SeriesInstanceUID,
            instance_uid=data_set.SOPInstanceUID,
        )
        for data_set in (*one, *other)
    ]
    with requests.Session() as session:
        client = Rad69(session, door_of_the_site.url + source.PATH)
        found = {data_set.SOPInstanceUID: data_set for data_set in client.datasets(references)}
        assert found.keys() == stored.keys()
        for uid, data_set in found.items():
            assert data_set == dcmread(BytesIO(stored[uid]))
        nowhere = InstanceReference(study_uid="1.2", series_uid="1.2.3", instance_uid="1.2.3.4")
        with pytest.raises(Rad69ServerError, match="XDSDocumentUniqueIdError"):
            client.get_dataset(nowhere)


def test_as_stored_where_that_is_listed(door_of_the_site: Door) -> None:
    data_set = secondary_capture()
    file = part10(data_set, ImplicitVRLittleEndian)
    door_of_the_site.store(file)
    asked = request(wanted(data_set), ExplicitVRLittleEndian, ImplicitVRLittleEndian)
    tree, documents = taken_apart(ask(door_of_the_site, asked))
    assert status(tree) == "Success"
    assert tree.findtext(".//a:RelatesTo", namespaces=NAMES) == "urn:uuid:7"
    got = documents[data_set.SOPInstanceUID]
    assert dcmread(BytesIO(got)).file_meta.TransferSyntaxUID == ImplicitVRLittleEndian
    assert data_set_bytes(got) == data_set_bytes(file)


@pytest.mark.parametrize("uid", [ExplicitVRLittleEndian, RLELossless, JPEG2000Lossless])
def test_another_form_loses_nothing(door_of_the_site: Door, uid: str) -> None:
    data_set = ct()
    file = part10(data_set, ImplicitVRLittleEndian)
    door_of_the_site.store(file)
    _, documents = taken_apart(ask(door_of_the_site, request(wanted(data_set), uid)))
    got = dcmread(BytesIO(documents[data_set.SOPInstanceUID]))
    assert got.file_meta.TransferSyntaxUID == uid
    assert got.file_meta.MediaStorageSOPInstanceUID == data_set.SOPInstanceUID
    assert np.array_equal(got.pixel_array, dcmread(BytesIO(file)).pixel_array)


def test_part_of_what_was_asked_for(door_of_the_site: Door) -> None:
    here, moved, foreign, gone = (secondary_capture() for _ in range(4))
    door_of_the_site.store(part10(here), part10(moved), part10(foreign))
    moved.SeriesInstanceUID = "1.2.3"
    asked = wanted(here, moved, gone) + wanted(foreign, repository="1.2.3.4")
    tree, documents = taken_apart(ask(door_of_the_site, request(asked, ExplicitVRLittleEndian)))
    assert status(tree) == "PartialSuccess"
    assert errors(tree) == ["XDSDocumentUniqueIdError", "XDSDocumentUniqueIdError", "XDSUnknownRepositoryId"]
    assert list(documents) == [here.SOPInstanceUID]


def test_what_cannot_be_had_in_any_of_the_forms(door_of_the_site: Door) -> None:
    data_set = secondary_capture()
    door_of_the_site.store(part10(data_set))
    response = ask(door_of_the_site, request(wanted(data_set), "1.2.840.10008.1.2.4.102", "1.2.3"))
    assert response.headers["content-type"].startswith("application/soap+xml")
    tree = ElementTree.fromstring(response.content)
    assert status(tree) == "Failure"
    assert errors(tree) == ["urn:dicom:wado:0007"]


def test_bytes_that_are_gone_are_told_before_the_first_byte(door_of_the_site: Door) -> None:
    data_set, whole = secondary_capture(), secondary_capture()
    door_of_the_site.store(part10(data_set), part10(whole))
    archive = door_of_the_site.archive
    stored = archive.retrieve.instance(Scope(sop_instance_uids=(data_set.SOPInstanceUID,)))
    archive.store.delete(stored.blob_key)
    tree, documents = taken_apart(
        ask(door_of_the_site, request(wanted(data_set, whole), ExplicitVRLittleEndian))
    )
    assert (status(tree), errors(tree)) == ("PartialSuccess", ["XDSDocumentUniqueIdError"])
    assert list(documents) == [whole.SOPInstanceUID]


def test_what_cannot_be_read_for_the_moment_is_not_said_to_be_missing(
    door_of_the_site: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a reader gives up what it would have in a minute."""
    one = ct()
    door_of_the_site.store(part10(one))

    def no_descriptors(*_: object) -> None:
        raise OutOfResources("too many open files")

    monkeypatch.setattr(Retrieve, "open", no_descriptors)
    response = ask(door_of_the_site, request(wanted(one), ExplicitVRLittleEndian))
    assert response.status_code == 503
    assert "Retry-After" in response.headers


def test_as_many_studies_as_documents_take_no_longer(door_of_the_site: Door) -> None:
    """Each is looked at once: squared, this many take minutes."""
    looked = []

    class Looked(str):
        """A UID that notes when it is compared."""

        __slots__ = ()
        __hash__ = str.__hash__

        def __eq__(self, other: object) -> bool:
            looked.append(other)
            return super().__eq__(other)

    asked = [Wanted(Looked(f"1.2.{number}"), "1.3", REPOSITORY, f"1.4.{number}") for number in range(300)]
    read = Request(documents=asked, transfer_syntaxes=[ExplicitVRLittleEndian])
    found, failed = sorted_out(door_of_the_site.archive, read)
    assert (len(found), len(failed)) == (0, 300)
    assert len(looked) < 3000


def test_a_request_as_an_mtom_package(door_of_the_site: Door) -> None:
    data_set = secondary_capture()
    door_of_the_site.store(part10(data_set))
    xml = request(wanted(data_set), ExplicitVRLittleEndian)
    body = (
        b'--B\r\nContent-Type: application/xop+xml; charset=UTF-8; type="application/soap+xml"\r\n'
        b"Content-ID: <0@x>\r\n\r\n" + xml + b"\r\n--B--\r\n"
    )
    package = 'multipart/related; boundary="B"; type="application/xop+xml"; start="<0@x>"'
    response = ask(door_of_the_site, body, **{"Content-Type": package})
    _, documents = taken_apart(response)
    assert list(documents) == [data_set.SOPInstanceUID]


@pytest.mark.parametrize(
    ("body", "code", "fault"),
    [
        (b"<a", 400, "s:Sender"),
        (b"<a/>", 400, "s:Sender"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', 400, "s:Sender"),
        (request("", ExplicitVRLittleEndian), 400, "s:Sender"),
        (request(wanted(secondary_capture())), 400, "s:Sender"),
        (request(wanted(secondary_capture()), "1.2", action="urn:other"), 400, "a:ActionNotSupported"),
        (
            request("", "1.2", header='<x:Security xmlns:x="urn:x" s:mustUnderstand="true"/>'),
            500,
            "s:MustUnderstand",
        ),
        (b'<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"/>', 500, "s:VersionMismatch"),
    ],
)
def test_a_request_that_cannot_be_understood_is_a_fault(
    door_of_the_site: Door, body: bytes, code: int, fault: str
) -> None:
    response = ask(door_of_the_site, body)
    assert response.status_code == code
    values = [one.text for one in ElementTree.fromstring(response.content).iterfind(".//s:Value", NAMES)]
    assert values[-1] == fault


def test_other_bodies_are_refused(door_of_the_site: Door, empty_door: Door) -> None:
    good = request(wanted(secondary_capture()), "1.2")
    assert ask(door_of_the_site, good, **{"Content-Type": "text/xml"}).status_code == 415
    assert ask(door_of_the_site, good, **{"Content-Encoding": "gzip"}).status_code == 415
    assert ask(door_of_the_site, b" " * (source.MAXIMUM_BYTES + 1)).status_code == 413
    package = 'multipart/related; boundary=B; type="application/dicom"'
    assert ask(door_of_the_site, b"", **{"Content-Type": package}).status_code == 415
    off = ask(empty_door, good)
    assert (off.status_code, "xds.repository_unique_id" in off.text) == (404, True)


def test_deep_nesting_and_long_values_are_refused() -> None:
    deep = b"<s:Envelope xmlns:s='http://www.w3.org/2003/05/soap-envelope'>" + b"<s:a>" * 100_000
    with pytest.raises(Fault, match="nested too deep"):
        envelope.read(deep)
    long = request("<d:DocumentRequest><d:DocumentUniqueId>" + "1" * 10_000, "1.2")
    with pytest.raises(Fault, match="too long"):
        envelope.read(long)
