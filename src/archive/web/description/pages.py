"""The pages that are no viewer, described."""

from __future__ import annotations

from archive.web.description.route import Parameter, Status
from archive.web.description.transactions import (
    BAD_REQUEST,
    GONE,
    NOT_FOUND,
    NOT_MODIFIED,
    OK,
    PRECONDITION_FAILED,
    about,
)

_NEXT = Parameter("next", "Where to go on to afterwards: a path of this archive.")

_PAGE = "text/html"
_SIGN_IN = Status(303, "A browser signs in, or is shown what it may see, at the address in Location.")
HOME = about(
    "The list of studies.",
    (OK, Status(302, "A study that is named is in the viewer."), _SIGN_IN),
    (_PAGE,),
    (
        Parameter("q", "Words of a name, an ID, a day, a modality."),
        Parameter("from", "The first day, as 2026-11-23."),
        Parameter("to", "The last day."),
        Parameter("modality", "A modality, such as CT."),
        Parameter("similar", "1: names may be spelt otherwise, which takes longer."),
        Parameter("page", "The number of a page of 25 studies.", type="integer", minimum=1, maximum=40),
        Parameter("StudyInstanceUIDs", "Study Instance UID of the study to open in the viewer."),
    ),
)
STUDY = about("A study and its series.", (OK, _SIGN_IN, BAD_REQUEST, NOT_FOUND, GONE), (_PAGE,), ())
UPLOAD = about("The page to upload at.", (OK, _SIGN_IN), (_PAGE,), ())
SIGN_IN = about("The page to sign in at.", (OK,), ("text/html",), (_NEXT,))
SIGN_IN_FILE = about(
    "A file of the page to sign in at.",
    (OK, Status(404, "There is no such file."), NOT_MODIFIED, PRECONDITION_FAILED),
    ("text/javascript", "text/css"),
    (),
)
SHARES = about(
    "The links that one has made, and how they were used.",
    (OK, Status(401, "Somebody has to sign in first."), Status(403, "One may not share.")),
    ("text/html",),
    (),
)
OPEN_SHARE = about(
    "The page that a link to studies leads to. To look at it uses nothing up.",
    (OK, Status(404, "There is no such link."), Status(410, "The link has ended; why, and what to do.")),
    ("text/html",),
    (),
)
CONSOLE_FILE = about(
    "A file of the console.",
    (OK, Status(404, "There is no such file."), NOT_MODIFIED, PRECONDITION_FAILED),
    ("text/javascript", "text/css", "image/svg+xml"),
    (),
)
_RETURNED = (
    Parameter("code", "What the issuer gives for tokens."),
    Parameter("state", "Which sign-in it is of."),
    Parameter("iss", "Who answers (RFC 9207)."),
    Parameter("error", "Why nobody was let in (RFC 6749 4.1.2.1)."),
)
_NO_ISSUER = Status(404, "No issuer is set (`openid.issuer`).", reports=True)
_OUT_OF_REACH = Status(503, "The issuer does not answer.", reports=True)
OPENID = about(
    "Sign in at the OpenID Connect issuer: leads there, with PKCE.",
    (
        Status(303, "At the address in Location."),
        Status(403, "It would go over http, where others can read it.", reports=True),
        _NO_ISSUER,
        _OUT_OF_REACH,
    ),
    ("text/html",),
    (_NEXT,),
)
OPENID_RETURN = about(
    "Where the issuer leads back to: begins a session, and leads on.",
    (
        OK,
        Status(401, "Not begun in this browser, used before, or not confirmed by the issuer.", reports=True),
        Status(403, "It would go over http, where others can read it.", reports=True),
        _NO_ISSUER,
        _OUT_OF_REACH,
    ),
    ("text/html",),
    _RETURNED,
)
