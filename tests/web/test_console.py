"""The console's pages as a program sees them: who gets which, what stands around them, and that files are ours."""

from __future__ import annotations

import pytest

from web_door import Door


@pytest.mark.parametrize("name", ["style.css", "console.js", "htmx.min.js"])
def test_files(door: Door, name: str) -> None:
    answer = door.client.get(f"/console/{name}")
    assert answer.status_code == 200
    assert answer.headers["content-type"].split(";")[0] in ("text/css", "text/javascript")
    assert (
        door.client.get(f"/console/{name}", headers={"If-None-Match": answer.headers["etag"]}).status_code
        == 304
    )


@pytest.mark.parametrize("name", ["htmx-LICENSE", "pages.py", "..%2Fpages.py", "base.html", ""])
def test_nothing_else_is_a_file(door: Door, name: str) -> None:
    assert door.client.get(f"/console/{name}").status_code == 404
