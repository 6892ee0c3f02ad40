"""Health and metrics, for probes and for Prometheus."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from archive.web.http import metrics
from archive.web.http.exchange import Answer, Asked, text

if TYPE_CHECKING:
    from archive.bootstrap.building import Archive


def live(_archive: Archive, _asked: Asked) -> Answer:
    """This process answers."""
    return text(200, "alive")


def ready(archive: Archive, _asked: Asked) -> Answer:
    """The store and the index can take work now: 200, or 503 and what is wrong."""
    checks = archive.health.ready()
    all_ok = all(check.ok for check in checks)
    report = {
        "ready": all_ok,
        "checks": [{"name": check.name, "ok": check.ok, "reason": check.reason} for check in checks],
    }
    return Answer(
        200 if all_ok else 503, "application/json", orjson.dumps(report), (("Cache-Control", "no-store"),)
    )


def metrics_page(_archive: Archive, _asked: Asked) -> Answer:
    """Prometheus' text format."""
    return metrics.exposition()
