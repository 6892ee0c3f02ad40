"""The route table: every resource of the HTTP door, once.

The router, the metrics' labels, Retrieve Capabilities, /openapi.json and the conformance statement are derived from
here. What a client has to know of each transaction is in `transactions`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from archive.web import (
    bulk_data,
    commitment,
    deleting,
    frames,
    metadata,
    qido,
    rejecting,
    rendered,
    status,
    stow,
    wado_uri,
    zip_download,
)
from archive.web.api import ae_titles, commitments, conflicts, corrections, refusals, rejections, worklist
from archive.web.api.guard import guarded
from archive.web.description import (
    api_ae_titles,
    api_commitments,
    api_conflicts,
    api_corrections,
    api_rejections,
    api_worklist,
    openapi,
    transactions,
    ups,
)
from archive.web.description.route import UNDESCRIBED, About, Route
from archive.web.description.xdsi import RETRIEVE_IMAGING_DOCUMENT_SET
from archive.web.http.urls import ROOT
from archive.web.ups import searching, subscriptions
from archive.web.ups import transactions as workitems
from archive.web.ups.requests import changing
from archive.web.xdsi import source as imaging_documents

__all__ = ["ROUTES", "Route"]

STUDY = "/studies/{study}"
SERIES = f"{STUDY}/series/{{series}}"
INSTANCE = f"{SERIES}/instances/{{instance}}"
COMMITMENT = "/commitment-requests/{transaction}"
ENTRY = "/worklist/{entry}"
CORRECTION = "/corrections/{correction}"
REJECTION = "/rejections/{rejection}"
REPORTED = "/commitments/{transaction}"
WORKITEMS = "/workitems"
WORKITEM = f"{WORKITEMS}/{{workitem}}"
SUBSCRIBER = f"{WORKITEM}/subscribers/{{subscriber:path}}"
AE_TITLE = "/ae-titles/{title:path}"
"""An AE title may hold a slash."""

Handler = Callable[[Any, Any], Any]


def _dicomweb(
    method: str,
    path: str,
    name: str,
    clause: str,
    handler: Handler,
    *,
    takes_body: bool = False,
    about: About = UNDESCRIBED,
) -> Route:
    return Route(method, ROOT + path, name, clause, handler, takes_body, about=about)


def _store(path: str, name: str) -> Route:
    return _dicomweb("POST", path, name, "10.5", stow.store, takes_body=True, about=transactions.STORE)


def _search(path: str, name: str, handler: Handler, described: About) -> Route:
    return _dicomweb("GET", path, name, "10.6", handler, about=described)


def _retrieve(path: str, name: str, handler: Handler, described: About) -> Route:
    return _dicomweb("GET", path, name, "10.4", handler, about=described)


def _metadata(path: str, name: str) -> Route:
    return _retrieve(f"{path}/metadata", name, metadata.metadata, transactions.RETRIEVE_METADATA)


def _bulk(path: str, name: str) -> Route:
    return _retrieve(f"{path}/bulkdata", name, bulk_data.all_of_target, transactions.RETRIEVE_ALL_BULKDATA)


def _pixels(path: str, name: str) -> Route:
    return _retrieve(f"{path}/pixeldata", name, bulk_data.pixel_data, transactions.RETRIEVE_PIXEL_DATA)


def _picture(
    path: str, name: str, handler: Handler, described: About = transactions.RETRIEVE_RENDERED
) -> Route:
    return Route("GET", ROOT + path, name, "10.4", handler, renders=True, about=described)


def _all_rendered(path: str, name: str) -> Route:
    return _picture(f"{path}/rendered", name, rendered.instances, transactions.RETRIEVE_ALL_RENDERED)


def _thumbnail(path: str, name: str) -> Route:
    return _picture(f"{path}/thumbnail", name, rendered.thumbnail, transactions.RETRIEVE_THUMBNAIL)


def _api(
    method: str, path: str, name: str, handler: Handler, described: About, *, takes_body: bool = False
) -> Route:
    """A resource of our own API for administrators, below /api; a path of it may have several methods."""
    return Route(method, f"/api{path}", name, "", guarded(handler), takes_body, about=described)


def _delete(path: str, name: str) -> Route:
    return _dicomweb("DELETE", path, name, "", deleting.delete, about=transactions.DELETE)


def _ups(
    method: str,
    path: str,
    name: str,
    clause: str,
    handler: Handler,
    described: About,
    *,
    takes_body: bool = False,
) -> Route:
    """A transaction of the Worklist Service that changes something."""
    return _dicomweb(method, path, name, clause, changing(handler), takes_body=takes_body, about=described)


_WORKLIST: tuple[Route, ...] = (
    _ups("POST", WORKITEMS, "CreateWorkitem", "11.4", workitems.create, ups.CREATE, takes_body=True),
    _dicomweb("GET", WORKITEMS, "SearchWorkitems", "11.9", searching.search, about=ups.SEARCH),
    _dicomweb("GET", WORKITEM, "RetrieveWorkitem", "11.5", workitems.retrieve, about=ups.RETRIEVE),
    _ups("POST", WORKITEM, "UpdateWorkitem", "11.6", workitems.update, ups.UPDATE, takes_body=True),
    _ups(
        "PUT",
        f"{WORKITEM}/state",
        "ChangeWorkitemState",
        "11.7",
        workitems.change_state,
        ups.CHANGE_STATE,
        takes_body=True,
    ),
    _ups(
        "POST",
        f"{WORKITEM}/cancelrequest",
        "RequestCancellation",
        "11.8",
        workitems.request_cancellation,
        ups.REQUEST_CANCELLATION,
        takes_body=True,
    ),
    _ups(
        "POST",
        f"{SUBSCRIBER}/suspend",
        "SuspendGlobalSubscription",
        "11.12",
        subscriptions.suspend,
        ups.SUSPEND,
    ),
    _ups("POST", SUBSCRIBER, "Subscribe", "11.10", subscriptions.subscribe, ups.SUBSCRIBE),
    _ups("DELETE", SUBSCRIBER, "Unsubscribe", "11.11", subscriptions.unsubscribe, ups.UNSUBSCRIBE),
    Route(
        "GET",
        subscriptions.NOTIFICATIONS,
        "OpenNotificationConnection",
        "8.10.4",
        subscriptions.notifications,
        about=ups.OPEN_NOTIFICATIONS,
    ),
)


def _reject(path: str, name: str) -> Route:
    return _dicomweb("POST", f"{path}/reject/{{code}}", name, "", rejecting.reject, about=transactions.REJECT)


_RESOURCES: tuple[Route, ...] = (
    _store("/studies", "StoreInstances"),
    _store(STUDY, "StoreStudyInstances"),
    _search("/studies", "SearchStudies", qido.studies, transactions.SEARCH_STUDIES),
    _search("/series", "SearchAllSeries", qido.series, transactions.SEARCH_SERIES),
    _search("/instances", "SearchAllInstances", qido.instances, transactions.SEARCH_INSTANCES),
    _search(f"{STUDY}/series", "SearchStudySeries", qido.series, transactions.SEARCH_SERIES),
    _search(f"{STUDY}/instances", "SearchStudyInstances", qido.instances, transactions.SEARCH_INSTANCES),
    _search(f"{SERIES}/instances", "SearchSeriesInstances", qido.instances, transactions.SEARCH_INSTANCES),
    _retrieve(STUDY, "RetrieveStudy", zip_download.instances, transactions.RETRIEVE_INSTANCES),
    _retrieve(SERIES, "RetrieveSeries", zip_download.instances, transactions.RETRIEVE_INSTANCES),
    _retrieve(INSTANCE, "RetrieveInstance", zip_download.instances, transactions.RETRIEVE_INSTANCE),
    _metadata(STUDY, "RetrieveStudyMetadata"),
    _metadata(SERIES, "RetrieveSeriesMetadata"),
    _metadata(INSTANCE, "RetrieveInstanceMetadata"),
    _retrieve(
        f"{INSTANCE}/bulkdata/{{path:path}}",
        "RetrieveBulkdata",
        bulk_data.bulk_data,
        transactions.RETRIEVE_BULKDATA,
    ),
    _bulk(STUDY, "RetrieveStudyBulkdata"),
    _bulk(SERIES, "RetrieveSeriesBulkdata"),
    _bulk(INSTANCE, "RetrieveInstanceBulkdata"),
    _pixels(STUDY, "RetrieveStudyPixelData"),
    _pixels(SERIES, "RetrieveSeriesPixelData"),
    _pixels(INSTANCE, "RetrieveInstancePixelData"),
    _retrieve(f"{INSTANCE}/frames/{{frames}}", "RetrieveFrames", frames.frames, transactions.RETRIEVE_FRAMES),
    _all_rendered(STUDY, "RetrieveRenderedStudy"),
    _all_rendered(SERIES, "RetrieveRenderedSeries"),
    _picture(f"{INSTANCE}/rendered", "RetrieveRenderedInstance", rendered.instance),
    _picture(f"{INSTANCE}/frames/{{frames}}/rendered", "RetrieveRenderedFrames", rendered.frames),
    _thumbnail(STUDY, "RetrieveStudyThumbnail"),
    _thumbnail(SERIES, "RetrieveSeriesThumbnail"),
    _thumbnail(INSTANCE, "RetrieveInstanceThumbnail"),
    _thumbnail(f"{INSTANCE}/frames/{{frames}}", "RetrieveFrameThumbnail"),
    Route(
        "GET",
        wado_uri.PATH,
        "RetrieveURI",
        "9",
        wado_uri.retrieve,
        renders=wado_uri.renders,
        about=transactions.RETRIEVE_URI,
    ),
    _delete(STUDY, "DeleteStudy"),
    _delete(SERIES, "DeleteSeries"),
    _delete(INSTANCE, "DeleteInstance"),
    _reject(STUDY, "RejectStudy"),
    _reject(SERIES, "RejectSeries"),
    _reject(INSTANCE, "RejectInstance"),
    _dicomweb(
        "POST",
        COMMITMENT,
        "RequestStorageCommitment",
        "13.4",
        commitment.request,
        takes_body=True,
        about=transactions.REQUEST_COMMITMENT,
    ),
    _dicomweb(
        "GET",
        COMMITMENT,
        "CheckStorageCommitment",
        "13.5",
        commitment.result,
        about=transactions.CHECK_COMMITMENT,
    ),
    *_WORKLIST,
    _api("GET", "/ae-titles", "SearchAETitles", ae_titles.search, api_ae_titles.SEARCH),
    _api("POST", f"{AE_TITLE}/echo", "EchoAETitle", ae_titles.echo, api_ae_titles.ECHO),
    _api("GET", AE_TITLE, "RetrieveAETitle", ae_titles.retrieve, api_ae_titles.RETRIEVE),
    _api("PUT", AE_TITLE, "PutAETitle", ae_titles.put, api_ae_titles.PUT, takes_body=True),
    _api("DELETE", AE_TITLE, "RemoveAETitle", ae_titles.remove, api_ae_titles.REMOVE),
    _api("GET", "/refusals", "SearchRefusals", refusals.search, api_ae_titles.REFUSALS),
    _api("GET", "/commitments", "SearchCommitments", commitments.search, api_commitments.SEARCH),
    _api("GET", REPORTED, "RetrieveCommitment", commitments.retrieve, api_commitments.RETRIEVE),
    _api("POST", f"{REPORTED}/report", "ReportCommitment", commitments.again, api_commitments.AGAIN),
    _api(
        "GET",
        "/notifications",
        "SearchNotifications",
        commitments.notifications,
        api_commitments.NOTIFICATIONS,
    ),
    _api(
        "POST",
        "/notifications/{notification}/report",
        "ReportAvailability",
        commitments.notify_again,
        api_commitments.NOTIFY_AGAIN,
    ),
    _api("GET", "/conflicts", "SearchConflicts", conflicts.search, api_conflicts.SEARCH),
    _api(
        "POST",
        "/conflicts/decisions",
        "DecideConflicts",
        conflicts.decide,
        api_conflicts.DECIDE,
        takes_body=True,
    ),
    _api("GET", "/conflicts/{conflict}", "RetrieveConflict", conflicts.one, api_conflicts.RETRIEVE),
    _api(
        "GET",
        "/conflicts/{conflict}/differences",
        "RetrieveConflictDifferences",
        conflicts.differences,
        api_conflicts.DIFFERENCES,
    ),
    _api("GET", "/conflicts/{conflict}/copy", "RetrieveConflictCopy", conflicts.copy, api_conflicts.COPY),
    _api("GET", "/patients", "SearchPatients", corrections.patients, api_corrections.PATIENTS),
    _api("GET", "/corrections", "SearchCorrections", corrections.search, api_corrections.SEARCH),
    _api("POST", "/corrections", "MakeCorrection", corrections.make, api_corrections.MAKE, takes_body=True),
    _api("GET", CORRECTION, "RetrieveCorrection", corrections.one, api_corrections.RETRIEVE),
    _api(
        "POST",
        f"{CORRECTION}/undo",
        "UndoCorrection",
        corrections.undo,
        api_corrections.UNDO,
        takes_body=True,
    ),
    _api("POST", f"{CORRECTION}/retry", "RetryCorrection", corrections.retry, api_corrections.RETRY),
    _api("GET", "/rejections", "SearchRejections", rejections.search, api_rejections.SEARCH),
    _api("GET", REJECTION, "RetrieveRejection", rejections.one, api_rejections.RETRIEVE),
    _api("GET", f"{REJECTION}/note", "RetrieveRejectionNote", rejections.note, api_rejections.NOTE),
    _api(
        "GET",
        f"{REJECTION}/instances/{{instance}}",
        "RetrieveRejectedInstance",
        rejections.instance,
        api_rejections.INSTANCE,
    ),
    _api(
        "POST",
        f"{REJECTION}/decision",
        "DecideRejection",
        rejections.decide,
        api_rejections.DECIDE,
        takes_body=True,
    ),
    _api("GET", "/worklist", "SearchWorklist", worklist.search, api_worklist.SEARCH),
    _api("POST", "/worklist", "AddToWorklist", worklist.add, api_worklist.ADD, takes_body=True),
    _api("GET", ENTRY, "RetrieveWorklistEntry", worklist.one, api_worklist.RETRIEVE),
    _api("PUT", ENTRY, "ReplaceWorklistEntry", worklist.replace, api_worklist.REPLACE, takes_body=True),
    _api("DELETE", ENTRY, "RemoveWorklistEntry", worklist.remove, api_worklist.REMOVE),
    _api("PUT", f"{ENTRY}/state", "PlanWorklistEntry", worklist.plan, api_worklist.PLAN, takes_body=True),
    _api("GET", "/performed-steps", "SearchPerformedSteps", worklist.steps, api_worklist.STEPS),
    _api("GET", "/performed-steps/{step}", "RetrievePerformedStep", worklist.step, api_worklist.STEP),
    Route(
        "POST",
        imaging_documents.PATH,
        "RetrieveImagingDocumentSet",
        "",
        imaging_documents.retrieve,
        takes_body=True,
        about=RETRIEVE_IMAGING_DOCUMENT_SET,
    ),
    Route("GET", "/health/live", "Live", "", status.live, about=transactions.LIVE),
    Route("GET", "/health/ready", "Ready", "", status.ready, about=transactions.READY),
    Route("GET", "/metrics", "Metrics", "", status.metrics_page, about=transactions.METRICS),
)

ROUTES = (
    *_RESOURCES,
    Route("GET", openapi.PATH, "OpenAPI", "", openapi.handler(_RESOURCES), about=transactions.OPENAPI),
)
