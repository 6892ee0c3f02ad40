"""The route table: every resource of the HTTP door, once.

The router, the metrics' labels and the conformance statement's list of resources are derived from here. `clause`
is where PS3.18 asks for the transaction; empty for resources of our own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from archive.web import frames, metadata, qido, rendered, status, stow, wado
from archive.web.urls import ROOT

STUDY = "/studies/{study}"
SERIES = f"{STUDY}/series/{{series}}"
INSTANCE = f"{SERIES}/instances/{{instance}}"


@dataclass(frozen=True, slots=True)
class Route:
    """One transaction. `handler` is called with `(archive, asked)` and returns an Answer; when the transaction
    `takes_body`, it returns a Taker. One that `renders` makes pictures, of which few are made at a time."""

    method: str
    path: str
    name: str
    clause: str
    handler: Callable[[Any, Any], Any]
    takes_body: bool = False
    renders: bool = False


def _dicomweb(
    method: str,
    path: str,
    name: str,
    clause: str,
    handler: Callable[[Any, Any], Any],
    *,
    takes_body: bool = False,
) -> Route:
    return Route(method, ROOT + path, name, clause, handler, takes_body)


def _picture(path: str, name: str, handler: Callable[[Any, Any], Any]) -> Route:
    return Route("GET", ROOT + path, name, "10.4", handler, renders=True)


ROUTES: tuple[Route, ...] = (
    _dicomweb("POST", "/studies", "StoreInstances", "10.5", stow.store, takes_body=True),
    _dicomweb("POST", STUDY, "StoreStudyInstances", "10.5", stow.store, takes_body=True),
    _dicomweb("GET", "/studies", "SearchStudies", "10.6", qido.studies),
    _dicomweb("GET", "/series", "SearchAllSeries", "10.6", qido.series),
    _dicomweb("GET", "/instances", "SearchAllInstances", "10.6", qido.instances),
    _dicomweb("GET", f"{STUDY}/series", "SearchStudySeries", "10.6", qido.series),
    _dicomweb("GET", f"{STUDY}/instances", "SearchStudyInstances", "10.6", qido.instances),
    _dicomweb("GET", f"{SERIES}/instances", "SearchSeriesInstances", "10.6", qido.instances),
    _dicomweb("GET", STUDY, "RetrieveStudy", "10.4", wado.instances),
    _dicomweb("GET", SERIES, "RetrieveSeries", "10.4", wado.instances),
    _dicomweb("GET", INSTANCE, "RetrieveInstance", "10.4", wado.instances),
    _dicomweb("GET", f"{STUDY}/metadata", "RetrieveStudyMetadata", "10.4", metadata.metadata),
    _dicomweb("GET", f"{SERIES}/metadata", "RetrieveSeriesMetadata", "10.4", metadata.metadata),
    _dicomweb("GET", f"{INSTANCE}/metadata", "RetrieveInstanceMetadata", "10.4", metadata.metadata),
    _dicomweb("GET", f"{INSTANCE}/bulkdata/{{path:path}}", "RetrieveBulkdata", "10.4", frames.bulk_data),
    _dicomweb("GET", f"{INSTANCE}/frames/{{frames}}", "RetrieveFrames", "10.4", frames.frames),
    _picture(f"{INSTANCE}/rendered", "RetrieveRenderedInstance", rendered.instance),
    _picture(f"{INSTANCE}/frames/{{frames}}/rendered", "RetrieveRenderedFrames", rendered.frames),
    _picture(f"{STUDY}/thumbnail", "RetrieveStudyThumbnail", rendered.thumbnail),
    _picture(f"{SERIES}/thumbnail", "RetrieveSeriesThumbnail", rendered.thumbnail),
    _picture(f"{INSTANCE}/thumbnail", "RetrieveInstanceThumbnail", rendered.thumbnail),
    _picture(f"{INSTANCE}/frames/{{frames}}/thumbnail", "RetrieveFrameThumbnail", rendered.thumbnail),
    Route("GET", "/health/live", "Live", "", status.live),
    Route("GET", "/health/ready", "Ready", "", status.ready),
    Route("GET", "/metrics", "Metrics", "", status.metrics_page),
)
