"""Behind nginx, under another host name and a path of its own, every URL that the archive gives out leads back.

Both ways to tell the archive its public address are tried: a setting, and the headers that the proxy adds.
"""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

import dcmtk
import dicomweb
from archive_process import ArchiveServer
from objects import ct, data_set_bytes, part10

HOST = "imaging.hospital.example"
PREFIX = "/pacs"

CONFIGURATION = """
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port};
    client_max_body_size 0;
    location {prefix}/ {{
      proxy_pass http://127.0.0.1:{archive}/;
      proxy_http_version 1.1;
      proxy_request_buffering off;
      {headers}
    }}
  }}
}}
"""

HEADERS = """
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-Host $http_host;
      proxy_set_header X-Forwarded-Prefix /pacs;
"""


@dataclass(frozen=True)
class Proxied:
    """An archive as people outside see it."""

    port: int

    @property
    def public(self) -> str:
        """The address outside."""
        return f"http://{HOST}:{self.port}{PREFIX}/dicom-web"

    def get(self, url: str, accept: str) -> httpx.Response:
        """GET a public URL: its host name is ours, so it is sent to nginx by address."""
        parts = urlsplit(url)
        assert (parts.hostname, parts.port) == (HOST, self.port), url
        assert parts.path.startswith(f"{PREFIX}/dicom-web/"), url
        inside = parts._replace(netloc=f"127.0.0.1:{self.port}").geturl()
        return dicomweb.CLIENT.get(inside, headers={"Host": f"{HOST}:{self.port}", "Accept": accept})


@contextmanager
def serve(nginx: str, folder: Path, archive: int, port: int, headers: str) -> Iterator[Proxied]:
    """nginx of our own before the archive's port."""
    folder.mkdir()
    file = folder / "nginx.conf"
    file.write_text(
        CONFIGURATION.format(folder=folder, port=port, prefix=PREFIX, archive=archive, headers=headers)
    )
    log = str(folder / "error.log")
    process = subprocess.Popen([nginx, "-p", str(folder), "-c", str(file), "-e", log])
    try:
        _wait_until_it_answers(process, port)
        yield Proxied(port)
    finally:
        process.terminate()
        process.wait(20)


def _wait_until_it_answers(process: subprocess.Popen[bytes], port: int) -> None:
    deadline, pause = time.monotonic() + 20, threading.Event()
    while True:
        try:
            dicomweb.CLIENT.get(f"http://127.0.0.1:{port}/")
        except httpx.TransportError:
            assert process.poll() is None, "nginx ended"
            assert time.monotonic() < deadline, "nginx does not answer"
            pause.wait(0.02)
        else:
            return


@pytest.fixture(params=["forwarded headers", "public_url"])
def proxied(
    request: pytest.FixtureRequest, nginx: str, start_archive: Callable[..., ArchiveServer], tmp_path: Path
) -> Iterator[Proxied]:
    """The archive behind nginx, which learns of its public address in one of the two ways."""
    port = dcmtk.free_port()
    by_headers = request.param == "forwarded headers"
    public = f"http://{HOST}:{port}{PREFIX}"
    environment = {"ARCHIVE_HTTP_BEHIND_PROXY": "true"} if by_headers else {"ARCHIVE_HTTP_PUBLIC_URL": public}
    server = start_archive(environment=environment)
    headers = HEADERS if by_headers else ""
    with serve(nginx, tmp_path / "nginx", server.http_port, port, headers) as proxied:
        yield proxied


def test_every_url_leads_back_through_the_proxy(proxied: Proxied) -> None:
    original = ct()
    inside = f"http://127.0.0.1:{proxied.port}{PREFIX}/dicom-web"
    headers = {
        "Content-Type": dicomweb.STOW_TYPE,
        "Accept": "application/dicom+json",
        "Host": f"{HOST}:{proxied.port}",
    }
    body = dicomweb.stow_body([part10(original)])
    stored = dicomweb.CLIENT.post(f"{inside}/studies", content=body, headers=headers)
    assert stored.status_code == 200
    study = f"{proxied.public}/studies/{original.StudyInstanceUID}"
    series = f"{study}/series/{original.SeriesInstanceUID}"
    instance = f"{series}/instances/{original.SOPInstanceUID}"

    answer = stored.json()
    assert dicomweb.value(answer, "00081190") == study
    (reference,) = answer["00081199"]["Value"]
    assert dicomweb.value(reference, "00081190") == instance

    for resource, expected in (("studies", study), ("series", series), ("instances", instance)):
        (match,) = proxied.get(f"{proxied.public}/{resource}", "application/dicom+json").json()
        assert dicomweb.value(match, "00081190") == expected

    (whole,) = dicomweb.parts(proxied.get(instance, dicomweb.AS_STORED))
    assert data_set_bytes(whole.body) == data_set_bytes(part10(original))

    (metadata,) = proxied.get(f"{instance}/metadata", "application/dicom+json").json()
    uri = metadata["7FE00010"]["BulkDataURI"]
    assert uri.startswith(instance)
    bulk = proxied.get(uri, "multipart/related; type=application/octet-stream")
    (part,) = dicomweb.parts(bulk)
    assert part.body == original.PixelData
    assert part.headers["content-location"] == uri
