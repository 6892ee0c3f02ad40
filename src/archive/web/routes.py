"""The route table: every resource of the HTTP door, once.

The router, the metrics' labels, Retrieve Capabilities, /openapi.json and the conformance statement are derived from
here. What a client has to know of each transaction is in `transactions`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from archive.security.roles import Right
from archive.security.shares import Reach
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
from archive.web.api.table import API
from archive.web.console.admin_table import ADMIN
from archive.web.console.share_table import SHARE_PAGES
from archive.web.console.table import CONSOLE
from archive.web.description import openapi, pages, transactions, ups, viewer
from archive.web.description.route import UNDESCRIBED, About, Route
from archive.web.description.xdsi import RETRIEVE_IMAGING_DOCUMENT_SET
from archive.web.http.urls import ROOT
from archive.web.pages import openid, sign_in
from archive.web.ups import searching, subscriptions
from archive.web.ups import transactions as workitems
from archive.web.ups.requests import changing
from archive.web.viewer import light, ohif
from archive.web.viewer.policies import PATH as VIEWER
from archive.web.xdsi import source as imaging_documents

__all__ = ["ROUTES", "Route"]

STUDY = "/studies/{study}"
SERIES = f"{STUDY}/series/{{series}}"
INSTANCE = f"{SERIES}/instances/{{instance}}"
COMMITMENT = "/commitment-requests/{transaction}"
WORKITEMS = "/workitems"
WORKITEM = f"{WORKITEMS}/{{workitem}}"
SUBSCRIBER = f"{WORKITEM}/subscribers/{{subscriber:path}}"
Handler = Callable[[Any, Any], Any]


def _dicomweb(
    method: str,
    path: str,
    name: str,
    clause: str,
    handler: Handler,
    *,
    right: Right,
    takes_body: bool = False,
    about: About = UNDESCRIBED,
    reach: Reach = Reach.NONE,
) -> Route:
    return Route(
        method, ROOT + path, name, clause, handler, takes_body, about=about, right=right, reach=reach
    )


def _store(path: str, name: str) -> Route:
    return _dicomweb(
        "POST", path, name, "10.5", stow.store, right=Right.STORE, takes_body=True, about=transactions.STORE
    )


def _search(path: str, name: str, handler: Handler, described: About) -> Route:
    return _dicomweb("GET", path, name, "10.6", handler, right=Right.SEE, about=described, reach=Reach.VIEW)


def _retrieve(path: str, name: str, handler: Handler, described: About, reach: Reach = Reach.VIEW) -> Route:
    return _dicomweb("GET", path, name, "10.4", handler, right=Right.SEE, about=described, reach=reach)


def _objects(path: str, name: str, described: About = transactions.RETRIEVE_INSTANCES) -> Route:
    return _retrieve(path, name, zip_download.instances, described, Reach.DOWNLOAD)


def _metadata(path: str, name: str) -> Route:
    return _retrieve(f"{path}/metadata", name, metadata.metadata, transactions.RETRIEVE_METADATA)


def _bulk(path: str, name: str) -> Route:
    return _retrieve(
        f"{path}/bulkdata", name, bulk_data.all_of_target, transactions.RETRIEVE_ALL_BULKDATA, Reach.DOWNLOAD
    )


def _pixels(path: str, name: str) -> Route:
    return _retrieve(
        f"{path}/pixeldata", name, bulk_data.pixel_data, transactions.RETRIEVE_PIXEL_DATA, Reach.DOWNLOAD
    )


def _picture(
    path: str, name: str, handler: Handler, described: About = transactions.RETRIEVE_RENDERED
) -> Route:
    return Route(
        "GET",
        ROOT + path,
        name,
        "10.4",
        handler,
        renders=True,
        about=described,
        right=Right.SEE,
        reach=Reach.VIEW,
    )


def _all_rendered(path: str, name: str) -> Route:
    return _picture(f"{path}/rendered", name, rendered.instances, transactions.RETRIEVE_ALL_RENDERED)


def _thumbnail(path: str, name: str) -> Route:
    return _picture(f"{path}/thumbnail", name, rendered.thumbnail, transactions.RETRIEVE_THUMBNAIL)


def _delete(path: str, name: str) -> Route:
    return _dicomweb("DELETE", path, name, "", deleting.delete, right=Right.DELETE, about=transactions.DELETE)


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
    return _dicomweb(
        method,
        path,
        name,
        clause,
        changing(handler),
        right=Right.WORK,
        takes_body=takes_body,
        about=described,
    )


_WORKLIST: tuple[Route, ...] = (
    _ups("POST", WORKITEMS, "CreateWorkitem", "11.4", workitems.create, ups.CREATE, takes_body=True),
    _dicomweb(
        "GET", WORKITEMS, "SearchWorkitems", "11.9", searching.search, right=Right.WORKITEMS, about=ups.SEARCH
    ),
    _dicomweb(
        "GET",
        WORKITEM,
        "RetrieveWorkitem",
        "11.5",
        workitems.retrieve,
        right=Right.WORKITEMS,
        about=ups.RETRIEVE,
    ),
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
        right=Right.WORK,
        about=ups.OPEN_NOTIFICATIONS,
    ),
)


def _reject(path: str, name: str) -> Route:
    path = f"{path}/reject/{{code}}"
    return _dicomweb("POST", path, name, "", rejecting.reject, right=Right.REJECT, about=transactions.REJECT)


_RESOURCES: tuple[Route, ...] = (
    _store("/studies", "StoreInstances"),
    _store(STUDY, "StoreStudyInstances"),
    _search("/studies", "SearchStudies", qido.studies, transactions.SEARCH_STUDIES),
    _search("/series", "SearchAllSeries", qido.series, transactions.SEARCH_SERIES),
    _search("/instances", "SearchAllInstances", qido.instances, transactions.SEARCH_INSTANCES),
    _search(f"{STUDY}/series", "SearchStudySeries", qido.series, transactions.SEARCH_SERIES),
    _search(f"{STUDY}/instances", "SearchStudyInstances", qido.instances, transactions.SEARCH_INSTANCES),
    _search(f"{SERIES}/instances", "SearchSeriesInstances", qido.instances, transactions.SEARCH_INSTANCES),
    _objects(STUDY, "RetrieveStudy"),
    _objects(SERIES, "RetrieveSeries"),
    _objects(INSTANCE, "RetrieveInstance", transactions.RETRIEVE_INSTANCE),
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
        right=Right.SEE,
        reach=wado_uri.reach,
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
        right=Right.COMMIT,
        takes_body=True,
        about=transactions.REQUEST_COMMITMENT,
    ),
    _dicomweb(
        "GET",
        COMMITMENT,
        "CheckStorageCommitment",
        "13.5",
        commitment.result,
        right=Right.COMMIT,
        about=transactions.CHECK_COMMITMENT,
    ),
    *_WORKLIST,
    Route(
        "POST",
        imaging_documents.PATH,
        "RetrieveImagingDocumentSet",
        "",
        imaging_documents.retrieve,
        right=Right.SEE,
        takes_body=True,
        about=RETRIEVE_IMAGING_DOCUMENT_SET,
    ),
    *API,
    *CONSOLE,
    *ADMIN,
    *SHARE_PAGES,
    Route("GET", sign_in.PATH, "SignInPage", "", sign_in.page, right=None, about=pages.SIGN_IN),
    Route(
        "GET",
        f"{sign_in.PATH}/{{file}}",
        "SignInPageFile",
        "",
        sign_in.file,
        right=None,
        about=pages.SIGN_IN_FILE,
    ),
    Route("GET", openid.PATH, "OpenIDSignIn", "", openid.begin, right=None, about=pages.OPENID),
    Route("GET", openid.RETURN, "OpenIDReturn", "", openid.end, right=None, about=pages.OPENID_RETURN),
    Route("GET", VIEWER, "Viewer", "", ohif.entrance, right=None, about=viewer.VIEWER),
    Route("GET", f"{VIEWER}/light", "LightViewer", "", light.page, right=None, about=viewer.LIGHT),
    Route(
        "GET",
        f"{VIEWER}/light/{{file}}",
        "LightViewerFile",
        "",
        light.file,
        right=None,
        about=viewer.LIGHT_FILE,
    ),
    Route("GET", f"{VIEWER}/{{name:path}}", "ViewerFile", "", ohif.file, right=None, about=viewer.FILE),
    Route("GET", "/health/live", "Live", "", status.live, right=None, about=transactions.LIVE),
    Route("GET", "/health/ready", "Ready", "", status.ready, right=None, about=transactions.READY),
    Route(
        "GET", "/metrics", "Metrics", "", status.metrics_page, right=Right.OBSERVE, about=transactions.METRICS
    ),
)

ROUTES = (
    *_RESOURCES,
    Route(
        "GET",
        openapi.PATH,
        "OpenAPI",
        "",
        openapi.handler(_RESOURCES),
        right=None,
        about=transactions.OPENAPI,
    ),
)
