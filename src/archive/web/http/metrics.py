"""What the HTTP door counts. Labels are route templates, methods, statuses and outcomes: nothing of any patient.

With several workers prometheus-client shares the numbers in the folder of PROMETHEUS_MULTIPROC_DIR, which the
supervisor sets before a worker imports this; `/metrics` of any worker then shows all of them, the DIMSE door's too.
"""

from __future__ import annotations

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

from archive.web.http.exchange import Answer

REQUESTS = Counter("archive_http_requests", "HTTP requests answered", ("method", "route", "status"))
SECONDS = Histogram(
    "archive_http_request_seconds",
    "Seconds from a request to the end of its answer",
    ("route",),
    buckets=(0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60, 600),
)
OBJECTS = Counter("archive_stow_objects", "Objects received by STOW-RS", ("outcome",))
FAULTS = Counter("archive_http_faults", "Requests that failed by a fault of ours", ("route",))


def begin() -> None:
    """Open the files of this process's numbers, which the library opens when something is first counted: by then there
    may be no disk for them, and no request may fail of that."""
    OBJECTS.labels("stored")
    SECONDS.labels("/health/live")
    for _ in REGISTRY.collect():
        pass


def exposition() -> Answer:
    """All metrics in Prometheus' text format."""
    return Answer(media_type=CONTENT_TYPE_LATEST, body=generate_latest(_registry()))


def _registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    try:
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    except ValueError:  # no shared folder: this process is alone
        return REGISTRY
    return registry
