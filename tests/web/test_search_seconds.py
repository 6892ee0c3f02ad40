"""A search that takes too long is refused, and says what to do next (H11)."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from archive.index import matching
from web_door import Door

ENDLESS = sa.text("WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c")


def test_h11_a_search_that_does_not_end_is_503(
    open_door: Callable[..., Door], monkeypatch: pytest.MonkeyPatch
) -> None:
    door = open_door(limits__search_seconds=1)

    def endless(connection: Any, *_: object) -> Any:
        return connection.execute(ENDLESS).scalar_one()

    with monkeypatch.context() as patched:
        patched.setattr(matching, "page", endless)
        begin = time.monotonic()
        answer = door.client.get("/dicom-web/studies?PatientName=ZZCANARY*")
        assert time.monotonic() - begin > 0.9
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert "limits.search_seconds (1)" in answer.text
    assert "StudyDate" in answer.text
    assert "ZZCANARY" not in answer.text
    assert door.client.get("/dicom-web/studies").status_code == 204
