"""nginx before an archive, under another host name and a path of its own, by http or by https."""

from __future__ import annotations

import datetime
import functools
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HOST = "imaging.hospital.example"
PREFIX = "/pacs"
START_SECONDS = 20

_CONFIGURATION = """
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
  access_log off;
  map $http_upgrade $connection_upgrade {{ default upgrade; "" ""; }}
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port}{tls};
    client_max_body_size 0;
    {certificate}
    location {prefix}/ {{
      proxy_pass http://127.0.0.1:{archive}/;
      proxy_http_version 1.1;
      proxy_request_buffering off;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;
      {headers}
    }}
  }}
}}
"""

HEADERS = {
    "X-Forwarded": f"""
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-Host $http_host;
      proxy_set_header X-Forwarded-Prefix {PREFIX};
    """,
    "Forwarded": f"""
      proxy_set_header Forwarded "for=$remote_addr;proto=$scheme;host=\\"$http_host\\"";
      proxy_set_header X-Forwarded-Prefix {PREFIX};
    """,
    "public_url": "",
}
"""How the archive learns of its public address, and what nginx adds for that."""


@dataclass(frozen=True)
class Proxied:
    """An archive as people outside see it."""

    scheme: str
    port: int
    client: httpx.Client = field(repr=False)
    trusted: ssl.SSLContext = field(repr=False)

    @property
    def root(self) -> str:
        """The address outside."""
        return f"{self.scheme}://{HOST}:{self.port}{PREFIX}"

    def ask(self, url: str, accept: str = "*/*", method: str = "GET", **more: str | bytes) -> httpx.Response:
        """Ask for a public URL, which is sent to nginx by address as nobody else knows the name."""
        assert url.startswith(f"{self.root}/"), url
        headers = {"Host": f"{HOST}:{self.port}", "Accept": accept}
        content = more.pop("content", b"")
        headers |= {name.replace("_", "-"): str(value) for name, value in more.items()}
        inside = urlsplit(url)._replace(netloc=f"127.0.0.1:{self.port}").geturl()
        request = self.client.build_request(method, inside, headers=headers, content=content or None)
        request.extensions |= {"sni_hostname": HOST}
        return self.client.send(request)


@functools.cache
def certificate() -> tuple[bytes, bytes]:
    """A certificate for HOST that signs itself, and its key, in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return made.public_bytes(serialization.Encoding.PEM), private


@contextmanager
def serve(nginx: str, folder: Path, archive: int, port: int, scheme: str, headers: str) -> Iterator[Proxied]:
    """nginx of our own before the archive's port."""
    folder.mkdir()
    trusted = ssl.create_default_context()
    lines = ""
    if scheme == "https":
        public, private = certificate()
        (folder / "certificate.pem").write_bytes(public)
        (folder / "key.pem").write_bytes(private)
        trusted.load_verify_locations(folder / "certificate.pem")
        lines = f"ssl_certificate {folder}/certificate.pem; ssl_certificate_key {folder}/key.pem;"
    file = folder / "nginx.conf"
    file.write_text(
        _CONFIGURATION.format(
            folder=folder,
            port=port,
            tls=" ssl" if lines else "",
            certificate=lines,
            prefix=PREFIX,
            archive=archive,
            headers=HEADERS[headers],
        )
    )
    log = str(folder / "error.log")
    process = subprocess.Popen([nginx, "-p", str(folder), "-c", str(file), "-e", log])
    try:
        with httpx.Client(timeout=60, verify=trusted) as client:
            proxied = Proxied(scheme, port, client, trusted)
            _wait_until_it_answers(process, proxied)
            yield proxied
    finally:
        process.terminate()
        process.wait(START_SECONDS)


def _wait_until_it_answers(process: subprocess.Popen[bytes], proxied: Proxied) -> None:
    deadline, pause = time.monotonic() + START_SECONDS, threading.Event()
    while True:
        try:
            proxied.ask(f"{proxied.root}/health/live")
        except httpx.TransportError:
            assert process.poll() is None, "nginx ended"
            assert time.monotonic() < deadline, "nginx does not answer"
            pause.wait(0.02)
        else:
            return
