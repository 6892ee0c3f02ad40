"""User identity (PS3.7 D.3.3.7) as DCMTK gives it: passwords and tokens, and what is kept of a failure."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Callable
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

import dcmtk
from archive_process import ArchiveServer
from holdings import save
from in_process import in_folder
from objects import mr

pytestmark = pytest.mark.usefixtures("dcmtk_tools")

STORED = "Received Store Response (Success)"
KEY = ec.generate_private_key(ec.SECP256R1())


@pytest.fixture(scope="module")
def server(
    module_archive: Callable[..., ArchiveServer], tmp_path_factory: pytest.TempPathFactory
) -> ArchiveServer:
    path = tmp_path_factory.mktemp("keys") / "issuer.pem"
    pem = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    path.write_bytes(KEY.public_key().public_bytes(*pem))
    tokens = {"ISSUER": "hospital", "AUDIENCE": "archive", "KEY_FILE": str(path), "ALGORITHM": "ES256"}
    environment = {f"ARCHIVE_TOKENS_{name}": value for name, value in tokens.items()}
    return module_archive("--workers", "1", environment=environment)


def sent(server: ArchiveServer, folder: Path, title: str, *options: object) -> dcmtk.Run:
    paths = save(folder, mr())
    return dcmtk.run("storescu", "-v", "-aet", title, *options, *dcmtk.peer(server), *paths)


def token(folder: Path, **claims: object) -> Path:
    said = {"iss": "hospital", "aud": "archive", "sub": "mr", "exp": time.time() + 3600, **claims}
    path = folder / "token"
    path.write_text(jwt.encode(said, KEY, "ES256"))
    return path


def ruled(server: ArchiveServer, title: str, *rules: str) -> None:
    done = in_folder(server.data, "ae", "add", title, "127.0.0.1", "104", *rules)
    assert done.code == 0, done.stderr


def last_reason(server: ArchiveServer) -> str:
    (line,) = in_folder(server.data, "ae", "refused", "--limit", "1").stdout.splitlines()
    return line.split("\t")[5]


def test_a_user_name_and_password(
    server: ArchiveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("s3cret\n"))
    ruled(server, "MR1", "--identity", "password", "--user", "mr", "--set-password")
    for wrong in ((), ("-usr", "mr"), ("-usr", "mr", "-pwd", "guess"), ("-usr", "ct", "-pwd", "s3cret")):
        done = sent(server, tmp_path, "MR1", *wrong)
        assert "Rejected Permanent" in done.output
        assert "Service Provider (ACSE Related)" in done.output
        assert STORED not in done.output
    assert last_reason(server) == "the user name or password is wrong"
    done = sent(server, tmp_path, "MR1", "-usr", "mr", "-pwd", "s3cret", "-rsp")
    assert STORED in done.output, done.output
    assert "s3cret" not in server.log


def test_a_token(server: ArchiveServer, tmp_path: Path) -> None:
    ruled(server, "MR2", "--identity", "token", "--user", "mr")
    for claims, reason in [
        ({"aud": "viewer"}, "the token is not accepted: it is for somebody else"),
        ({"exp": 1}, "the token is not accepted: it has expired"),
        ({"sub": "ct"}, "the token is of another user"),
    ]:
        done = sent(server, tmp_path, "MR2", "--jwt", token(tmp_path, **claims))
        assert "Rejected Permanent" in done.output
        assert last_reason(server) == reason
    path = token(tmp_path)
    done = sent(server, tmp_path, "MR2", "--jwt", path, "-rsp")
    assert STORED in done.output, done.output
    assert path.read_text() not in server.log


def test_who_is_not_asked_is_not_confirmed(server: ArchiveServer, tmp_path: Path) -> None:
    """storescu with --pos-response wants to be told, and is not: it must not think that its password was right."""
    done = sent(server, tmp_path, "MR3", "-usr", "mr", "-pwd", "anything", "-rsp")
    assert STORED not in done.output
    assert STORED in sent(server, tmp_path, "MR3", "-usr", "mr", "-pwd", "anything").output
