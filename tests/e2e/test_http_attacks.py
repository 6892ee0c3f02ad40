"""Attacks on the HTTP door of a real archive, by the numbers of reliability.md 2.2, each with its bounds.

Whatever comes, somebody beside the attacker is answered within a second, no worker grows by more than 64 MiB or ends,
nothing of a refused object stays, and no line of the log holds a traceback. Nothing is ever fetched from a URL that a
request holds: a listener of our own sees nobody.
"""

from __future__ import annotations

import json
import re
import socket
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator
from io import BytesIO
from urllib.parse import quote

import httpx
import pytest

import dicomweb
from archive_process import ArchiveServer
from bystander import Bystander, beside
from http_attack_bodies import JSON_TEXTS, MEGABYTE, MULTIPART, SEARCHES, references, xml_texts
from objects import mr, part10
from workitems import workitem

MOST_GROWTH = 64 << 20
SLOWEST = 1.0
JSON, XML, OCTETS = "application/dicom+json", "application/dicom+xml", "application/octet-stream"

pytestmark = pytest.mark.alone


@pytest.fixture(scope="module")
def server(module_archive: Callable[..., ArchiveServer]) -> ArchiveServer:
    """One archive for all attacks, warmed up: what is imported or remembered first is no growth."""
    server = module_archive("--workers", "1")
    for _ in range(3):
        answer = dicomweb.store(server.dicomweb_url, part10(mr()))
        assert answer.status_code == 200
        path = answer.json()["00081199"]["Value"][0]["00081190"]["Value"][0]
        for resource in (path, f"{path}/metadata", f"{path}/rendered", f"{server.dicomweb_url}/studies"):
            assert dicomweb.CLIENT.get(resource).status_code == 200
        large = mr(PixelData=bytes(8 << 20), Rows=2048, Columns=2048)
        assert dicomweb.store(server.dicomweb_url, part10(large)).status_code == 200
    return server


@pytest.fixture(scope="module")
def bystander(server: ArchiveServer) -> Iterator[Bystander]:
    with beside(server) as one:
        yield one


@pytest.fixture(autouse=True)
def _bounds(server: ArchiveServer, bystander: Bystander) -> Iterator[None]:
    objects = _files(server, "objects")
    with bystander.watching() as bounds:
        yield
    assert bounds.answers
    assert bounds.slowest < SLOWEST, "others had to wait"
    assert bounds.grown < MOST_GROWTH
    assert _files(server, "spool") == set()
    assert _files(server, "objects") - objects <= _kept
    assert "Traceback" not in server.log
    assert "request failed" not in server.log


_kept: set[str] = set()
"""Objects that were stored on purpose."""


def _files(server: ArchiveServer, folder: str) -> set[str]:
    return {str(path) for path in (server.data / folder).rglob("*") if path.is_file()}


@pytest.fixture
def trap() -> Iterator[tuple[str, Callable[[], bool]]]:
    """A URL of this machine, and whether anybody has come for it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)

        def visited() -> bool:
            try:
                listener.accept()[0].close()
            except BlockingIOError:
                return False
            return True

        yield f"http://127.0.0.1:{listener.getsockname()[1]}/x", visited


def said(server: ArchiveServer, *pieces: bytes) -> bytes:
    """What the server answers to these bytes on a connection of its own; empty when it only closes."""
    with socket.create_connection(("127.0.0.1", server.http_port), timeout=30) as connection:
        try:
            for piece in pieces:
                connection.sendall(piece)
            return connection.recv(65536)
        except ConnectionError:
            return b""


def post(server: ArchiveServer, content: bytes | Iterable[bytes], content_type: str) -> httpx.Response:
    """A store request."""
    headers = {"Content-Type": content_type, "Accept": JSON}
    return dicomweb.CLIENT.post(f"{server.dicomweb_url}/studies", content=content, headers=headers)


def related(kind: str, *parts: tuple[str, bytes]) -> tuple[bytes, str]:
    """A multipart body of parts, each with its header lines; and its Content-Type."""
    body = b"".join(b"--B\r\n" + head.encode() + b"\r\n\r\n" + content + b"\r\n" for head, content in parts)
    return body + b"--B--\r\n", f'multipart/related; type="{kind}"; boundary=B'


# --- H2: what a request says about its own length ---


@pytest.mark.parametrize(
    ("head", "statuses"),
    [
        ("Content-Length: 4294967296", ()),
        ("Content-Length: 68719476736", ()),
        ("Content-Length: 68719476737", (413,)),
        ("Content-Length: -1", (400,)),
        ("Content-Length: 5\r\nContent-Length: 6", (400,)),
        ("Content-Length: 5\r\nTransfer-Encoding: chunked", (400,)),
        ("Transfer-Encoding: chunked, chunked", (400,)),
        ("Transfer-Encoding: chunked\r\n\r\n8000000000000000", ()),
        (f"X: {'x' * MEGABYTE}", (400, 431)),
    ],
    ids=[
        "4 GiB",
        "64 GiB",
        "over the limit",
        "-1",
        "two",
        "both",
        "twice chunked",
        "chunk of 2^63",
        "1 MiB head",
    ],
)
def test_h2_lengths_are_no_orders(server: ArchiveServer, head: str, statuses: tuple[int, ...]) -> None:
    """Nothing is allocated from a number; a body that the limit allows is waited for, and the client leaves."""
    host = "POST /dicom-web/studies HTTP/1.1\r\nHost: localhost"
    request = f"{host}\r\nContent-Type: application/dicom\r\n{head}\r\n\r\n"
    if not statuses:
        connections = [socket.create_connection(("127.0.0.1", server.http_port)) for _ in range(20)]
        for connection in connections:
            connection.sendall(request.encode() + bytes(1000))
            connection.close()
        return
    answer = said(server, request.encode())
    assert not answer or int(answer.split(b" ")[1]) in statuses


# --- H3: multipart ---


@pytest.mark.parametrize("attack", MULTIPART)
def test_h3_multipart(server: ArchiveServer, attack: str) -> None:
    """Linear in what was sent: the largest of them are some hundred megabytes per second."""
    content_type, body, statuses = MULTIPART[attack]
    begin = time.monotonic()
    try:
        status = post(server, iter(body), content_type).status_code
    except (httpx.WriteError, httpx.ReadError, httpx.RemoteProtocolError):
        status = statuses[0]  # refused and closed while there was more to come
    assert status in statuses
    assert time.monotonic() - begin < 10


def test_h3_good_parts_among_bad_ones_keep_their_fate(server: ArchiveServer) -> None:
    first, second = mr(), mr()
    before = _files(server, "objects")
    head = "Content-Type: application/dicom"
    body, content_type = related(
        "application/dicom",
        (head, part10(first)),
        ("X", b"no header"),
        ("Content-Type: multipart/mixed; boundary=C", b"--C--"),
        (head, b"no DICOM"),
        (head, part10(second)),
        (head, part10(mr())),
    )
    answer = post(server, body[: -len("\r\n--B--\r\n") - 1000], content_type)
    _kept.update(_files(server, "objects") - before)
    assert answer.status_code == 202
    stored = [item["00081155"]["Value"][0] for item in answer.json()["00081199"]["Value"]]
    assert stored == [first.SOPInstanceUID, second.SOPInstanceUID]
    failed = [
        *answer.json().get("00081198", {}).get("Value", ()),
        *answer.json().get("0008119A", {}).get("Value", ()),
    ]
    assert len(failed) >= 3


# --- H4: XML ---


def test_h4_xml(server: ArchiveServer, trap: tuple[str, Callable[[], bool]]) -> None:
    """Refused at the first DOCTYPE; nothing is fetched, nothing expands."""
    url, visited = trap
    for name, text in xml_texts(url).items():
        begin = time.monotonic()
        body, content_type = related(XML, (f"Content-Type: {XML}", text))
        answer = post(server, body, content_type)
        assert answer.status_code in (400, 409, 415), (name, answer.text)
        assert "root:" not in answer.text
        created = dicomweb.CLIENT.post(
            f"{server.dicomweb_url}/workitems", content=text, headers={"Content-Type": XML}
        )
        assert created.status_code in (400, 409, 413, 415), (name, created.text)
        assert time.monotonic() - begin < 5, name
    assert not visited()


# --- H5: JSON ---


@pytest.mark.parametrize("attack", JSON_TEXTS)
def test_h5_json(server: ArchiveServer, attack: str) -> None:
    """4xx, by STOW-RS and wherever else JSON comes in."""
    for url in ("studies", "workitems"):
        headers = {"Content-Type": JSON, "Accept": JSON}
        pieces = (piece for piece in JSON_TEXTS[attack]())
        try:
            answer = dicomweb.CLIENT.post(f"{server.dicomweb_url}/{url}", content=pieces, headers=headers)
        except (httpx.WriteError, httpx.ReadError, httpx.RemoteProtocolError):
            continue  # refused and closed while there was more to come
        assert 400 <= answer.status_code < 500, answer.text
    small = b"".join(JSON_TEXTS[attack]()) if "100 MB" not in attack else b"[1e999]"
    answer = dicomweb.CLIENT.put(
        f"{server.http_url}/api/ae-titles/X", content=small, headers={"Content-Type": "application/json"}
    )
    assert 400 <= answer.status_code < 500


# --- H6, H7: URLs in requests ---


def test_h6_bulk_data_elsewhere(server: ArchiveServer, trap: tuple[str, Callable[[], bool]]) -> None:
    """Only parts of the same request resolve: an object that names others is refused, and nobody is asked."""
    url, visited = trap
    data_set = json.loads(mr().to_json())
    data_set.pop("7FE00010")
    for reference in references(url):
        for location in ("", "Content-Location: elsewhere\r\n"):
            text = json.dumps([{**data_set, "7FE00010": {"vr": "OW", "BulkDataURI": reference}}]).encode()
            body, content_type = related(
                JSON, (f"Content-Type: {JSON}", text), (f"{location}Content-Type: {OCTETS}", b"\0" * 32768)
            )
            answer = post(server, body, content_type)
            assert answer.status_code in (400, 409), (reference, answer.text)
            assert "00081199" not in answer.text
    assert not visited()


def test_h7_nobody_is_told_at_an_address_of_the_request(
    server: ArchiveServer, trap: tuple[str, Callable[[], bool]]
) -> None:
    """Subscribers are AE titles; where they are the administrator has entered, and is no client's to say."""
    url, visited = trap
    everything = "1.2.840.10008.5.1.4.34.5"
    for who, status in (
        (url, 400),
        ("169.254.169.254", 201),
        ("localhost", 201),
        ("..", 201),
        ("x" * 5000, 400),
    ):
        for query in ("", f"?contact-uri={url}", f"?deletionlock=true&url={url}"):
            name = quote(who, safe="").replace(".", "%2E")
            headers = {"Contact-URI": url, "Callback": url}
            resource = f"{server.dicomweb_url}/workitems/{everything}/subscribers/{name}{query}"
            answer = dicomweb.CLIENT.post(resource, headers=headers)
            assert answer.status_code in (status, 404), (who, answer.text)
    body = json.dumps([workitem()])
    headers = {"Content-Type": JSON}
    created = dicomweb.CLIENT.post(f"{server.dicomweb_url}/workitems", content=body, headers=headers)
    assert created.status_code == 201  # an event for those who subscribed
    assert not visited()


# --- H11 to H13: parameters and headers ---


@pytest.mark.parametrize("query", SEARCHES, ids=lambda query: query[:40])
def test_h11_searches(server: ArchiveServer, query: str) -> None:
    begin = time.monotonic()
    for resource in ("studies", "series", "instances"):
        request = (
            f"GET /dicom-web/{resource}?{query} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        )
        status = int(said(server, request.encode()).split(b" ")[1])
        assert status in SEARCHES[query], (resource, status)
    assert time.monotonic() - begin < 5


@pytest.mark.parametrize(
    ("ranges", "statuses"),
    [
        ("0-0," * 10_000, (416,)),
        ("0-," * 50, (200,)),
        ("0-0,0-1,0-2", (200,)),
        ("0-" + "9" * 5000, (206,)),
        ("9223372036854775808-", (416,)),
        ("-" + "9" * 30, (206,)),
        ("-0", (416,)),
        ("5-2", (416,)),
        (" ,," * 15_000, (416,)),
    ],
    ids=lambda value: str(value)[:20],
)
def test_h12_ranges(server: ArchiveServer, ranges: str, statuses: tuple[int, ...]) -> None:
    [match] = dicomweb.search(server.dicomweb_url, "instances", limit=1)
    url = dicomweb.instance_url(server.dicomweb_url, match)
    begin = time.monotonic()
    answer = dicomweb.CLIENT.get(url, headers={"Range": f"bytes={ranges}", "Accept": "application/dicom"})
    assert answer.status_code in statuses
    assert time.monotonic() - begin < 2


@pytest.mark.parametrize(
    "accept",
    [
        ",".join(f"a/b{n};q=0.{n}" for n in range(1000)),
        "a/b," * 15_000,
        "*/*;" + "a=b;" * 15_000,
        'a/b;x="' + "\\\\" * 30_000,
        "multipart/related;type=" * 2500,
        "*/*;q=" + "0" * 60_000,
        "*/*;q=1e999, a/b;q=nan",
    ],
    ids=["1000 types", "60 kB", "parameters", "escapes", "nested", "a long weight", "odd weights"],
)
def test_h13_accept(server: ArchiveServer, accept: str) -> None:
    for name in ("Accept", "Accept-Encoding", "Accept-Charset"):
        begin = time.monotonic()
        answer = dicomweb.CLIENT.get(f"{server.dicomweb_url}/studies", headers={name: accept})
        assert answer.status_code in (200, 400, 406)
        assert time.monotonic() - begin < 2


# --- H16, H18 ---


def test_h16_there_is_no_way_in_to_be_guessed(server: ArchiveServer) -> None:
    """No default credentials: Basic and Bearer change nothing, and whoever a proxy brings administers nothing."""
    url = f"{server.http_url}/api/ae-titles"
    assert dicomweb.CLIENT.get(url).status_code == 200, "this machine's administrator"
    for user, password in (("admin", "admin"), ("orthanc", "orthanc"), ("root", ""), ("", "")):
        answer = dicomweb.CLIENT.get(url, auth=(user, password), headers={"X-Forwarded-For": "192.0.2.1"})
        assert answer.status_code == 403


def test_h18_names_in_a_zip_are_ours(server: ArchiveServer) -> None:
    evil = "../../../etc/cron.d/x"
    before = _files(server, "objects")
    data_set = mr(PatientName=evil, PatientID=evil, StudyID="..\\..\\x", StudyDescription="/etc/passwd")
    assert dicomweb.store(server.dicomweb_url, part10(data_set)).status_code == 200
    _kept.update(_files(server, "objects") - before)
    url = f"{server.dicomweb_url}/studies/{data_set.StudyInstanceUID}"
    answer = dicomweb.CLIENT.get(url, headers={"Accept": "application/zip"})
    names = zipfile.ZipFile(BytesIO(answer.content)).namelist()
    assert len(names) >= 2
    assert all(re.fullmatch(r"[A-Z0-9_]{1,8}(/[A-Z0-9_]{1,8})*(\.TXT)?", name) for name in names), names
    assert re.fullmatch(r'attachment; filename="[A-Za-z0-9.]+"', answer.headers["content-disposition"])
