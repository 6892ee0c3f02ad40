"""The pages that are no viewer, described."""

from __future__ import annotations

from archive.web.description.route import Parameter, Status
from archive.web.description.transactions import NOT_MODIFIED, OK, PRECONDITION_FAILED, about

_NEXT = Parameter("next", "Where to go on to afterwards: a path of this archive.")

HOME = about("Where people begin.", (Status(302, "At the address in Location."),), (), ())
SIGN_IN = about("The page to sign in at.", (OK,), ("text/html",), (_NEXT,))
SIGN_IN_FILE = about(
    "A file of the page to sign in at.",
    (OK, Status(404, "There is no such file."), NOT_MODIFIED, PRECONDITION_FAILED),
    ("text/javascript", "text/css"),
    (),
)
CONSOLE_FILE = about(
    "A file of the console.",
    (OK, Status(404, "There is no such file."), NOT_MODIFIED, PRECONDITION_FAILED),
    ("text/javascript", "text/css", "image/svg+xml"),
    (),
)
