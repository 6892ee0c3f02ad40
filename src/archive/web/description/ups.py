"""The transactions of the Worklist Service and of its Notification Connections (PS3.18 chapter 11 and 8.10)."""

from __future__ import annotations

from archive.dicom.workitems.attributes import ATTRIBUTES, RETURNED
from archive.web import data_set_body
from archive.web.description import parameters
from archive.web.description.parameters import ACCEPT, CHARSET
from archive.web.description.route import About, Parameter, Status
from archive.web.description.transactions import about, related
from archive.web.http.media_types import DICOM_JSON, DICOM_XML
from archive.web.metadata import OFFERS as LISTS
from archive.web.ups.transactions import OFFERS

_UID = r"^[0-9][0-9.]{0,63}$"
_TAKES = (*data_set_body.TAKES, *related(DICOM_JSON, DICOM_XML))

_WORKITEM = Parameter(
    "workitem",
    "Workitem UID, unless SOPInstanceUID of the data set is it; the bare UID as the query string is understood too.",
    "11.4.1.1",
    pattern=_UID,
)
_TRANSACTION = Parameter(
    "transaction-uid",
    "Transaction UID of a Workitem that is IN PROGRESS; the bare UID as the query string, and the attribute in the "
    "data set, are understood too.",
    "11.6.1.2",
    alias="transaction",
    pattern=_UID,
)
_REQUESTER = Parameter("requester", "AE title of who asks, for those who are told of it.")
_FILTER = Parameter(
    "filter",
    "Matching keys of a Filtered Worklist Subscription: attribute=value, divided by commas.",
    "11.10.1.2",
)
_DELETION_LOCK = Parameter(
    "deletionlock",
    "Keep the Workitems until the subscriber has let go of them.",
    "11.10.1.2",
    "boolean",
    options=("true", "false"),
)

_BAD_REQUEST = Status(400, "A UID, AE title, parameter or data set that cannot be; the body says which.")
_FOREIGN_PAGE = Status(403, "A page of another origin may change nothing here.")
_NO_SUCH = Status(404, "There is no such Workitem.")
_GONE = Status(410, "The Workitem has been deleted.")
_CONFLICT = Status(409, "The state of the Workitem does not allow it.")
_NOT_CONFORMING = "; the Transaction UID is missing or incorrect"
_REFUSED = (_BAD_REQUEST, _FOREIGN_PAGE, _NO_SUCH, _GONE)

CREATE = about(
    "Create a Workitem.",
    (
        Status(201, "It is on the Worklist; Location has its URL.", empty=True),
        _BAD_REQUEST,
        _FOREIGN_PAGE,
        Status(409, "There is a Workitem of this UID."),
    ),
    described=(_WORKITEM,),
    takes=_TAKES,
    takes_schema="DataSetOrList",
)
RETRIEVE = about(
    "Retrieve a Workitem, without its Transaction UID.",
    (
        Status(200, "Here it is."),
        _BAD_REQUEST,
        _NO_SUCH,
        _GONE,
        Status(406, "It is not available in any of the acceptable media types or character sets."),
    ),
    tuple(str(offer) for offer in OFFERS),
    (ACCEPT, CHARSET),
    schema="DataSets",
)
UPDATE = about(
    "Change attributes of a Workitem.",
    (
        Status(200, "It is updated.", empty=True),
        *_REFUSED,
        Status(400, f"{_BAD_REQUEST.meaning}{_NOT_CONFORMING}; the Workitem is COMPLETED or CANCELED"),
        _CONFLICT,
    ),
    described=(_TRANSACTION,),
    takes=_TAKES,
    takes_schema="DataSetOrList",
)
CHANGE_STATE = about(
    "Claim, complete or cancel a Workitem.",
    (
        Status(200, "It is in this state; Warning says if it was already.", empty=True),
        *_REFUSED,
        Status(400, f"{_BAD_REQUEST.meaning}{_NOT_CONFORMING}"),
        _CONFLICT,
    ),
    described=(_TRANSACTION, _REQUESTER),
    takes=_TAKES,
    takes_schema="DataSetOrList",
)
REQUEST_CANCELLATION = about(
    "Ask that a Workitem be canceled.",
    (
        Status(202, "It is asked; Warning says if the Workitem was CANCELED already.", empty=True),
        *_REFUSED,
        _CONFLICT,
    ),
    described=(_REQUESTER,),
    takes=_TAKES,
    takes_schema="DataSetOrList",
)


def _search() -> About:
    tags = [tag for tag in RETURNED if tag not in ("00081195",) and _matched(tag)]
    keys = tuple(parameters.key(int(tag, 16), "11.9.2") for tag in sorted(tags))
    statuses = (
        Status(200, "All matches."),
        Status(204, "Nothing matches.", empty=True),
        Status(206, "Some of the matches; Warning says how many more there are."),
        _BAD_REQUEST,
        Status(406, "They are not available in any of the acceptable media types or character sets."),
        Status(413, "The search is too broad to be carried out."),
    )
    lists = tuple(str(offer) for offer in LISTS)
    return about("Search for Workitems.", statuses, lists, parameters.search_for(keys), schema="DataSets")


def _matched(tag: str) -> bool:
    row = ATTRIBUTES.get(tag)
    return row is None or row.vr != "SQ"


SEARCH = _search()
SUBSCRIBE = about(
    "Subscribe to a Workitem, to the Worklist, or to what matches a filter.",
    (
        Status(
            201,
            "The subscription stands; Content-Location is where its Notification Connection is opened.",
            empty=True,
        ),
        *_REFUSED,
    ),
    described=(_DELETION_LOCK, _FILTER),
)
UNSUBSCRIBE = about(
    "End a subscription.",
    (Status(200, "It has ended.", empty=True), *_REFUSED, Status(404, "There is no such subscription.")),
    described=(),
)
SUSPEND = about(
    "Do not subscribe to Workitems that are created from now on.",
    (Status(200, "It is suspended.", empty=True), *_REFUSED, Status(404, "There is no such subscription.")),
    described=(),
)
OPEN_NOTIFICATIONS = about(
    "Receive the events of a subscriber, over the WebSocket protocol.",
    (
        Status(101, "Event Reports follow as text messages in DICOM JSON (8.10.5).", empty=True),
        Status(400, "The path has no AE title."),
        Status(403, "The page of another origin that asks may not read here (http.cors_origins)."),
        Status(426, "The request did not ask for the WebSocket protocol."),
    ),
    described=(),
)
