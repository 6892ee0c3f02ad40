"""A user agent of the Worklist Service (PS3.18 chapter 11) for tests."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

from device_headers import new_uid
from web_door import Door
from workitems import performed, state, workitem

WORKITEMS = "/dicom-web/workitems"
JSON = {"Content-Type": "application/dicom+json"}
XML_PARTS = 'multipart/related; type="application/dicom+xml"'


@dataclass(frozen=True)
class Agent:
    """Says to one door what chapter 11 lets a user agent say."""

    door: Door

    def post(self, path: str, body: Any = None, **headers: str) -> httpx.Response:
        """POST below /workitems; a body is written as JSON."""
        said = {} if body is None else {"json": body, "headers": JSON | headers}
        return self.door.client.post(f"{WORKITEMS}{path}", **({"headers": headers} | said))

    def create(self, uid: str = "", **keywords: Any) -> str:
        """A workitem that stands; its UID."""
        uid = uid or new_uid()
        answer = self.post(f"?{uid}", [workitem(**keywords)])
        assert answer.status_code == 201, answer.text
        return uid

    def get(self, uid: str, **headers: str) -> httpx.Response:
        """Retrieve one."""
        return self.door.client.get(f"{WORKITEMS}/{uid}", headers=headers)

    def held(self, uid: str) -> dict[str, Any]:
        """What it holds."""
        answer = self.get(uid, Accept="application/dicom+json")
        assert answer.status_code == 200, answer.text
        [found] = answer.json()
        return dict(found)

    def put_state(self, uid: str, wanted: str, transaction_uid: str = "") -> httpx.Response:
        """Ask for another state."""
        body = [state(wanted, transaction_uid)]
        return self.door.client.put(f"{WORKITEMS}/{uid}/state", json=body, headers=JSON)

    def claim(self, uid: str) -> str:
        """Set it IN PROGRESS; its Transaction UID."""
        transaction_uid = new_uid()
        answer = self.put_state(uid, "IN PROGRESS", transaction_uid)
        assert answer.status_code == 200, answer.text
        return transaction_uid

    def complete(self, uid: str) -> str:
        """Claim it, say what was done, complete it; its Transaction UID."""
        transaction_uid = self.claim(uid)
        assert self.post(f"/{uid}?{transaction_uid}", [performed()]).status_code == 200
        answer = self.put_state(uid, "COMPLETED", transaction_uid)
        assert answer.status_code == 200, answer.text
        return transaction_uid

    def search(self, **parameters: Any) -> httpx.Response:
        """Search by these parameters."""
        return self.door.client.get(WORKITEMS, params=parameters)

    def found(self, **parameters: Any) -> list[str]:
        """The UIDs of what a search finds."""
        answer = self.search(**parameters)
        assert answer.status_code in (200, 204, 206), answer.text
        return [one["00080018"]["Value"][0] for one in answer.json()] if answer.content else []


def until(true: Callable[[], Any]) -> None:
    """Wait for something to become true, half a minute at most."""
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end, "it did not become true"
        time.sleep(0.02)


def warning(door: Door, text: str) -> str:
    """A Warning header as PS3.18 chapter 11 has it."""
    return f"299 {door.base}: {text}"
