"""`archive user …` and `archive token …` as an administrator uses them."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from pathlib import Path

import pyotp
import pytest
from argon2 import PasswordHasher

from archive import config
from archive.bootstrap import building
from archive.bootstrap.building import Archive
from archive.dicom.errors import CodeNeeded, NotSignedIn
from archive.security import identity
from archive.security.people import Kind
from archive.security.roles import Right
from archive_process import Finished
from in_process import in_folder

PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "_HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def archive(data: Path) -> Iterator[Archive]:
    """Beside the commands, as a running server is; Ada is a viewer."""
    assert (
        typed(
            data, "user", "add", "Ada", "--role", "viewer", "--full-name", "Ada L.", "--password-stdin"
        ).code
        == 0
    )
    opened = building.build(config.load(environment={}, overrides={"data": str(data)}))
    yield opened
    opened.close()


def typed(data: Path, *arguments: str, line: str = PASSWORD) -> Finished:
    """With a line on standard input."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sys, "stdin", io.StringIO(f"{line}\n"))
        return in_folder(data, *arguments)


def test_somebody_is_made_known_and_signs_in(data: Path, archive: Archive) -> None:
    _, entered = archive.sign_in.enter("ada", PASSWORD, "")
    assert entered.rights == {Right.SEE, Right.WORKITEMS, Right.ACCOUNT}
    shown = typed(data, "user", "list").stdout
    assert all(text in shown for text in ("ada", "Ada L.", "viewer"))
    assert PASSWORD not in shown


@pytest.mark.parametrize(
    ("arguments", "line", "code", "said"),
    [
        (("add", "bob"), PASSWORD, 2, "give --role"),
        (("add", "bob", "--role", "viewer", "--password-stdin"), "short", 2, "at least"),
        (("add", "ADA", "--role", "viewer", "--password-stdin"), PASSWORD, 2, "taken"),
        (("set", "bob", "--disable"), "", 1, "archive user list"),
        (("remove", "bob"), "", 1, "archive user list"),
    ],
)
def test_what_cannot_be_says_why(
    data: Path, archive: Archive, arguments: tuple[str, ...], line: str, code: int, said: str
) -> None:
    done = typed(data, "user", *arguments, line=line)
    assert done.code == code
    assert said in done.stderr
    assert [one.name for one in archive.people.all()] == ["ada"]


def test_roles_and_password_are_changed(data: Path, archive: Archive) -> None:
    secret, _ = archive.sign_in.enter("ada", PASSWORD, "")
    arguments = ("set", "ada", "--role", "auditor", "--role", "uploader", "--password-stdin")
    assert typed(data, "user", *arguments, line="something else").code == 0
    with pytest.raises(NotSignedIn):
        archive.sign_in.principal(secret, Kind.SESSION)
    _, entered = archive.sign_in.enter("ada", "something else", "")
    assert entered.rights == {
        Right.AUDIT,
        Right.OBSERVE,
        Right.HOLD,
        Right.STORE,
        Right.COMMIT,
        Right.ACCOUNT,
    }


def test_a_token_is_shown_once_and_ended(data: Path, archive: Archive) -> None:
    made = typed(data, "token", "add", "ada", "--label", "a script", "--days", "2")
    secret = made.stdout.strip()
    assert archive.sign_in.principal(secret, Kind.TOKEN).rights == {Right.SEE, Right.WORKITEMS}
    listed = typed(data, "token", "list").stdout
    assert "a script" in listed
    assert secret not in listed
    (kept,) = archive.people.credentials("ada")
    assert typed(data, "token", "remove", str(kept.id)).code == 0
    with pytest.raises(NotSignedIn):
        archive.sign_in.principal(secret, Kind.TOKEN)
    assert typed(data, "token", "remove", str(kept.id)).code == 1


def test_who_is_disabled_or_removed_is_out(data: Path, archive: Archive) -> None:
    secret = typed(data, "token", "add", "ada", "--label", "x").stdout.strip()
    assert "disabled" in typed(data, "user", "set", "ada", "--disable").stdout
    with pytest.raises(NotSignedIn):
        archive.sign_in.principal(secret, Kind.TOKEN)
    assert "--enable" in typed(data, "token", "add", "ada", "--label", "y").stderr
    assert typed(data, "user", "remove", "ada").code == 0
    assert archive.people.all() == []


def test_a_program_needs_no_password(data: Path, archive: Archive) -> None:
    assert typed(data, "user", "add", "robot", "--role", "uploader", "--no-password").code == 0
    assert "tokens only" in typed(data, "user", "list").stdout
    secret = typed(data, "token", "add", "robot", "--label", "x").stdout.strip()
    assert archive.sign_in.principal(secret, Kind.TOKEN, "robot").rights == {Right.STORE, Right.COMMIT}


def test_a_second_factor_is_reset(data: Path, archive: Archive) -> None:
    secret = archive.second_factors.begin("ada")
    archive.second_factors.confirm("ada", pyotp.TOTP(secret).now())
    listed = typed(data, "user", "list").stdout
    assert "second factor" in listed
    assert secret not in listed
    with pytest.raises(CodeNeeded):
        archive.sign_in.enter("ada", PASSWORD, "")
    done = typed(data, "user", "reset-second-factor", "ada")
    assert (done.code, "password alone" in done.stdout) == (0, True)
    archive.sign_in.enter("ada", PASSWORD, "")
    again = typed(data, "user", "reset-second-factor", "ada")
    assert (again.code, "no second factor" in again.stderr) == (1, True)
