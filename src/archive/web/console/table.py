"""The pages of the console, as rows of the route table. `pages.refused` answers who may not see one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from archive.security.roles import Right
from archive.web.console import pages, studies, study, upload
from archive.web.description import pages as described
from archive.web.description.route import About, Route

Handler = Callable[[Any, Any], Any]


def page(path: str, name: str, handler: Handler, right: Right, about: About) -> Route:
    """A page for people who have this right."""
    return Route("GET", path, name, "", handler, about=about, right=right, refused=pages.refused)


CONSOLE: tuple[Route, ...] = (
    Route(
        "GET", "/", "Home", "", studies.page, about=described.HOME, right=Right.SEE, refused=studies.refused
    ),
    page("/study/{study}", "StudyPage", study.page, Right.SEE, described.STUDY),
    page(upload.PATH, "UploadPage", upload.page, Right.STORE, described.UPLOAD),
    Route(
        "GET",
        f"{pages.FILES}/{{file}}",
        "ConsoleFile",
        "",
        pages.file,
        right=None,
        about=described.CONSOLE_FILE,
    ),
)
