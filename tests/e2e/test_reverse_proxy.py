"""Behind nginx, under another host name, a path of its own and https, every URL that the archive gives out leads back.

All ways to tell the archive its public address are tried: a setting, and the two kinds of headers that a proxy adds.
What is checked is every URL in every header and body of the answers to a tour of all resources, fetched just as it
was given.
"""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import httpx
import pytest
from pydicom import Dataset
from websockets.sync.client import connect

import dcmtk
import dicomweb
from archive.dicom.workitems.attributes import GLOBAL
from archive_process import ArchiveServer
from objects import ct, data_set_bytes, multi_frame, part10
from reverse_proxy import HOST, PREFIX, Proxied, serve
from workitems import workitem

NAMES = (
    "http://dicom.nema.org/",
    "https://dicom.nema.org/",
    "http://www.w3.org/",
    "http://wadl.dev.java.net/",
)
"""URLs that name a namespace or the standard, and are nobody's of ours."""

_URL = re.compile(rb"https?://[^\s\"'<>\\,]+")
JSON, XML = "application/dicom+json", 'multipart/related; type="application/dicom+xml"'
WADL = "{http://wadl.dev.java.net/2009/02}"


@dataclass(frozen=True)
class Outside:
    """The archive as the public sees it, and what is stored in it."""

    proxied: Proxied
    image: Dataset
    frames: Dataset
    answer: httpx.Response

    @property
    def base(self) -> str:
        """The public DICOMweb root."""
        return f"{self.proxied.root}/dicom-web"

    @property
    def study(self) -> str:
        """The public resource of the study."""
        return f"{self.base}/studies/{self.image.StudyInstanceUID}"

    def instance(self, data_set: Dataset) -> str:
        """The public resource of an instance."""
        return f"{self.study}/series/{data_set.SeriesInstanceUID}/instances/{data_set.SOPInstanceUID}"


@pytest.fixture(
    scope="module",
    params=[
        ("http", "X-Forwarded"),
        ("https", "X-Forwarded"),
        ("https", "Forwarded"),
        ("https", "public_url"),
    ],
    ids=" ".join,
)
def outside(
    request: pytest.FixtureRequest,
    nginx: str,
    module_archive: Callable[..., ArchiveServer],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Outside]:
    """The archive behind nginx, which learns of its public address in one of the ways."""
    scheme, way = request.param
    port = dcmtk.free_port()
    public = f"{scheme}://{HOST}:{port}{PREFIX}"
    by_setting = way == "public_url"
    environment = {"ARCHIVE_HTTP_PUBLIC_URL": public} if by_setting else {"ARCHIVE_HTTP_BEHIND_PROXY": "true"}
    environment |= {"ARCHIVE_HTTP_ADMINISTRATION": "on", "ARCHIVE_SIGN_IN_REQUIRED": "never"}
    server = module_archive(environment=environment)
    folder: Path = tmp_path_factory.mktemp("proxy") / "nginx"
    with serve(nginx, folder, server.http_port, port, scheme, way) as proxied:
        image = ct(Rows=64, Columns=64, PixelData=bytes(64 * 64 * 2))
        frames = multi_frame(3, StudyInstanceUID=image.StudyInstanceUID)
        answer = proxied.ask(
            f"{public}/dicom-web/studies",
            JSON,
            "POST",
            content=dicomweb.stow_body([part10(image), part10(frames)]),
            Content_Type=dicomweb.STOW_TYPE,
        )
        assert answer.status_code == 200, answer.text
        yield Outside(proxied, image, frames, answer)


def urls(answer: httpx.Response) -> set[str]:
    """Every URL in the headers and the body that is not the name of something else."""
    fields = answer.headers.multi_items()  # the policy names origins of pages, and no resources of ours
    values = [value.encode() for name, value in fields if name != "content-security-policy"]
    found = {
        match.decode("latin-1").rstrip(":")
        for text in (*values, answer.content)
        for match in _URL.findall(text)
    }
    return {url for url in found if not url.startswith(NAMES)}


def tour(outside: Outside) -> Iterator[tuple[str, str]]:
    """Every resource, and what to accept."""
    image, frames = outside.instance(outside.image), outside.instance(outside.frames)
    of_series = image.partition("/instances")[0]
    for search in ("/studies", "/series", "/instances", "/studies?limit=1&offset=0&fuzzymatching=true"):
        yield f"{outside.base}{search}", JSON
        yield f"{outside.base}{search}", XML
    yield f"{outside.base}/instances?limit=1", JSON
    for resource in (outside.study, of_series, image):
        yield f"{resource}/metadata", JSON
        yield f"{resource}/metadata", XML
        yield resource, 'multipart/related; type="application/dicom"'
        for more in ("bulkdata", "pixeldata", "rendered", "thumbnail"):
            yield f"{resource}/{more}", "*/*"
    yield image, "application/dicom"
    yield f"{image}/rendered?annotation=nonsense", "image/png"
    yield f"{frames}/frames/1,3", "*/*"
    yield f"{frames}/frames/2/rendered", "*/*"
    yield f"{frames}/frames/2/thumbnail", "*/*"
    uids = f"studyUID={outside.image.StudyInstanceUID}&seriesUID={outside.image.SeriesInstanceUID}"
    uri = f"{outside.proxied.root}/wado?requestType=WADO&{uids}&objectUID={outside.image.SOPInstanceUID}"
    yield uri, "*/*"
    yield f"{uri}&contentType=application/dicom", "*/*"


def test_every_url_leads_back_just_as_it_was_given(outside: Outside) -> None:
    """N11, S5: RetrieveURL, BulkDataURI, Content-Location, Location, the service that warns."""
    found: dict[str, str] = dict.fromkeys(urls(outside.answer), "the store response")
    for url, accept in tour(outside):
        answer = outside.proxied.ask(url, accept)
        assert answer.status_code == 200, (url, accept, answer.text)
        found |= dict.fromkeys(urls(answer), url)
    assert len(found) > 20
    for url, source in found.items():
        assert url.startswith(f"{outside.proxied.root}/"), (url, source)
        method = "OPTIONS" if url == outside.base else "GET"
        answer = outside.proxied.ask(url, "*/*", method)
        assert answer.status_code == 200, (url, source, answer.text)
    assert {outside.base, outside.study, outside.instance(outside.image)} <= found.keys()
    assert f"{outside.instance(outside.image)}/bulkdata/7FE00010" in found


def test_the_store_response_names_what_it_stored(outside: Outside) -> None:
    response = outside.answer.json()
    assert dicomweb.value(response, "00081190") == outside.study
    items: Any = response["00081199"]["Value"]
    expected = {outside.instance(each) for each in (outside.image, outside.frames)}
    assert {dicomweb.value(item, "00081190") for item in items} == expected


def test_what_the_urls_lead_to_are_the_bytes(outside: Outside) -> None:
    image = outside.instance(outside.image)
    (whole,) = dicomweb.parts(outside.proxied.ask(image, dicomweb.AS_STORED))
    assert data_set_bytes(whole.body) == data_set_bytes(part10(outside.image))
    (metadata,) = outside.proxied.ask(f"{image}/metadata", JSON).json()
    uri = metadata["7FE00010"]["BulkDataURI"]
    (part,) = dicomweb.parts(outside.proxied.ask(uri, "multipart/related; type=application/octet-stream"))
    assert part.body == outside.image.PixelData
    assert part.headers["content-location"] == uri


def filled(template: str, outside: Outside) -> str:
    """A path whose variables have values."""
    data_set = outside.frames
    values = {
        "study": data_set.StudyInstanceUID,
        "series": data_set.SeriesInstanceUID,
        "instance": data_set.SOPInstanceUID,
        "frames": "1",
        "path": "7FE00010",
    }
    return re.sub(r"\{(\w+)\}", lambda match: values.get(match[1], "1.2.3"), template)


NOTHING_THERE = (
    "/api/",
    "/ae-titles/",
    "/deletions/",
    "/dicom-web/workitems/",
    "/viewer/",
    "/sign-in/",
    "/console/",
    "/people/",
    "/share/",
)


_OF_ACCOUNTS = (
    "/api/tokens",
    "/api/session/second-factor",
    "/account",
    "/sign-in/openid",
    "/sign-in/openid/return",
)


def expected(template: str) -> tuple[int, ...]:
    """WADO-URI wants parameters; of administrators' entries and files of pages there are none, of workitems perhaps
    that of another test, and events come over WebSocket. Where nobody signs in nobody has an account, or an issuer; of
    any patient there is a report of who saw them."""
    others = {
        "/wado": (400,),
        "/dicom-web/workitems": (200, 204),
        "/dicom-web/subscribers/{subscriber}": (426,),
        "/api/audit/patients/{patient}": (200,),
        **dict.fromkeys(_OF_ACCOUNTS, (404,)),
    }
    if template not in others and template.startswith(NOTHING_THERE) and "{" in template:
        return (404,)
    return others.get(template, (200,))


def test_the_capabilities_describe_resources_that_are_there(outside: Outside) -> None:
    """8.9, annex H: the base of the resources with their paths."""
    for root in (outside.base, f"{outside.base}/", outside.study, f"{outside.proxied.root}/wado"):
        answer = outside.proxied.ask(root, "application/vnd.sun.wadl+xml", "OPTIONS")
        assert answer.status_code == 200
        assert all(url.startswith(f"{outside.proxied.root}/") for url in urls(answer))
        (resources,) = ElementTree.fromstring(answer.text).findall(f"{WADL}resources")
        base = resources.get("base", "").rstrip("/")
        assert base in (outside.base, outside.proxied.root)
        again = outside.proxied.ask(
            f"{base}/{resources[0].get('path', '').partition('{')[0]}".rstrip("/"), "*/*", "OPTIONS"
        )
        assert again.status_code == 200


def test_openapi_describes_resources_that_are_there(outside: Outside) -> None:
    document = outside.proxied.ask(f"{outside.proxied.root}/openapi.json").json()
    (server,) = document["servers"]
    assert server["url"].rstrip("/") == outside.proxied.root
    answers = {
        template: outside.proxied.ask(server["url"].rstrip("/") + filled(template, outside))
        for template, operations in document["paths"].items()
        if "get" in operations and "commitment" not in template
    }
    wrong = {
        name: (one.status_code, one.text[:200])
        for name, one in answers.items()
        if one.status_code not in expected(name)
    }
    assert not wrong
    assert len(answers) > 20


def test_a_commitment_is_found_where_the_answer_says(outside: Outside) -> None:
    """Chapter 13: Location or Content-Location of a request that is being worked on."""
    item = {"00081150": outside.image.SOPClassUID, "00081155": outside.image.SOPInstanceUID}
    references = [{tag: {"vr": "UI", "Value": [value]} for tag, value in item.items()}]

    body = json.dumps({"00081199": {"vr": "SQ", "Value": references}}).encode()
    url = f"{outside.base}/commitment-requests/1.2.840.99.{outside.proxied.port}"
    answer = outside.proxied.ask(url, JSON, "POST", content=body, Content_Type=JSON)
    assert answer.status_code in (200, 202), answer.text
    for given in urls(answer) - {outside.base}:
        assert outside.proxied.ask(given, JSON).status_code in (200, 202), given


def test_events_come_through_the_proxy(outside: Outside) -> None:
    """PS3.18 Table 11.10.3-2: Content-Location of a subscription is where its WebSocket is opened, outside as well."""
    workitems = f"{outside.base}/workitems"
    answer = outside.proxied.ask(f"{workitems}/{GLOBAL}/subscribers/VIEWER", method="POST")
    assert answer.status_code == 201, answer.text
    place = answer.headers["content-location"]
    assert place == f"{outside.base.replace('http', 'ws', 1)}/subscribers/VIEWER"
    with socket.create_connection(("127.0.0.1", outside.proxied.port), timeout=60) as plain:
        secure = {"ssl": outside.proxied.trusted} if outside.proxied.scheme == "https" else {}
        with connect(place, sock=plain, **secure) as connection:
            body = json.dumps([workitem()]).encode()
            made = outside.proxied.ask(workitems, method="POST", content=body, Content_Type=JSON)
            assert made.status_code == 201, made.text
            event = json.loads(connection.recv(timeout=60))
    assert made.headers["location"] == f"{workitems}/{event['00001000']['Value'][0]}"
    assert outside.proxied.ask(made.headers["location"], JSON).status_code == 200
