"""A door at which everybody signs in, a study that is shared and one that is not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from argon2 import PasswordHasher
from pydicom.dataset import Dataset

from archive.security import identity
from archive.security.actor import Actor
from archive.security.roles import Role
from archive.security.shares import Share, Wanted
from archive.services import shares as shares_service
from archive.web.routes import Route
from objects import mr, part10
from web_door import Door, running, settings_for

PASSWORD = "correct horse battery"
CODE = "123456"
MAKER = Actor("CLI", user="root")


@dataclass
class House:
    """A door, somebody of each role, a study that is shared and another one."""

    door: Door
    shared: Dataset
    other: Dataset

    def make(self, **wanted: Any) -> tuple[str, Share]:
        asked = Wanted(**{"studies": (self.shared.StudyInstanceUID,), "recipient": "Dr X", **wanted})
        return self.door.archive.shares.make(MAKER, "command line: root", asked, self.door.archive.retrieve)

    @contextmanager
    def browser(self) -> Iterator[httpx.Client]:
        with httpx.Client(base_url=self.door.url, timeout=60) as client:
            yield client

    def revoke(self, made: Share) -> None:
        self.door.archive.shares.revoke(MAKER, made.id)


def image(**keywords: str) -> Dataset:
    return mr(PatientID="P1", StudyID="1", SeriesNumber="1", **keywords)


@contextmanager
def shared_house(folder: Path) -> Iterator[House]:
    """Somebody of each role may sign in; argon2 costs next to nothing."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(identity, "_HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
        patched.setattr(shares_service, "FROM_ONE_ADDRESS", 10_000)
        with running(settings_for(folder, sign_in__required="always")) as door:
            for role in Role:
                door.archive.people.add(role.value, "", [role], PASSWORD)
            token = door.archive.people.issue("uploader", "", 1)[0]
            shared, other = image(PatientName="Shared^One"), image(PatientName="Hidden^One")
            stored = door.store(part10(shared), part10(other), Authorization=f"Bearer {token}")
            assert stored.status_code == 200
            yield House(door, shared, other)


def enter(client: httpx.Client, secret: str, passcode: str | None = None) -> httpx.Response:
    body = {"secret": secret} | ({"passcode": passcode} if passcode is not None else {})
    return client.post("/api/share-session", json=body)


def sign_in(client: httpx.Client, name: str) -> None:
    assert client.post("/api/session", json={"name": name, "password": PASSWORD}).status_code == 200


def asked(client: httpx.Client, route: Route, of: Dataset) -> httpx.Response:
    """The resource of this object."""
    values = {
        "study": of.StudyInstanceUID,
        "series": of.SeriesInstanceUID,
        "instance": of.SOPInstanceUID,
        "frames": "1",
        "path": "7FE00010",
    }
    path = re.sub(r"\{(\w+)(?::\w+)?\}", lambda found: values.get(found[1], "1"), route.path)
    if route.name == "RetrieveURI":
        uids = {"studyUID": values["study"], "seriesUID": values["series"], "objectUID": values["instance"]}
        return client.get(path, params={"requestType": "WADO", **uids})
    body: dict[str, Any] = {"json": {}} if route.takes_body else {}
    return client.request(route.method, path, **body)
