"""The pages of the viewer, described."""

from __future__ import annotations

from archive.web.description.route import Parameter, Status
from archive.web.description.transactions import (
    BAD_REQUEST,
    NOT_MODIFIED,
    NOT_SATISFIABLE,
    OK,
    PARTIAL,
    PRECONDITION_FAILED,
    about,
)

_PAGE = "text/html"
_STUDY = Parameter("StudyInstanceUIDs", "Study Instance UID of the study to open.")
_ELSEWHERE = Status(302, "The viewer is at the address in Location.")
_SIGN_IN = Status(303, "Who has to sign in does so at the address in Location.")
_CONDITIONS = (NOT_MODIFIED, PRECONDITION_FAILED)
_NO_FILE = Status(404, "There is no such file.")

VIEWER = about(
    "The viewer: OHIF when it is installed, else the built-in one.",
    (OK, _ELSEWHERE, _SIGN_IN, BAD_REQUEST, *_CONDITIONS),
    (_PAGE,),
    (_STUDY,),
)
LIGHT = about("The built-in viewer.", (OK, _SIGN_IN, *_CONDITIONS), (_PAGE,), (_STUDY,))
LIGHT_FILE = about(
    "A file of the built-in viewer.",
    (OK, _NO_FILE, *_CONDITIONS),
    ("text/javascript", "text/css", "image/svg+xml"),
    (),
)
FILE = about(
    "A file of OHIF, or its page.",
    (OK, PARTIAL, _ELSEWHERE, _SIGN_IN, _NO_FILE, NOT_SATISFIABLE, *_CONDITIONS),
    (_PAGE, "text/javascript", "text/css", "application/wasm", "image/png", "image/svg+xml", "font/woff2"),
    (),
)
