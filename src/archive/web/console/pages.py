"""How a page of the console is made, and what is answered in place of one.

Templates escape whatever they are given, and the policy allows no script but files of ours: what objects, people and
other systems wrote is text on a page, and cannot become anything else. A page tells of patients, so no cache keeps it.

Programs are answered as everywhere else, with a status and a sentence. Who takes HTML is a person in front of a
browser: they are led to the page to sign in at, or get the sentence on a page.
"""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from archive.dicom.errors import ArchiveError, MustEnrol, NotSignedIn
from archive.security.people import NOBODY, UNASKED, Principal
from archive.security.roles import Right
from archive.web import admission
from archive.web.console import navigation
from archive.web.http.errors import worded
from archive.web.http.exchange import Answer, Asked, text
from archive.web.pages import sign_in
from archive.web.static import Static
from archive.web.viewer.policies import headers, public_path

if TYPE_CHECKING:
    from archive.bootstrap.building import Archive

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'"
)
HTML = "text/html; charset=utf-8"
FILES = "/console"
"""Where scripts and style sheets are; of other modules of the console as well."""
_NO_STORE = ("Cache-Control", "no-store")

_STATIC = Static(__package__)
_TEMPLATES = Environment(
    loader=PackageLoader("archive.web.console"),
    autoescape=True,
    auto_reload=False,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def when(moment: str | None) -> str:
    """A moment in UTC, as `listing.moment` words it, for people; empty for never."""
    return moment[:19].replace("T", " ") if moment else ""


_TEMPLATES.filters["when"] = when


def render(archive: Archive, asked: Asked, template: str, /, status: int = 200, **values: Any) -> Answer:
    """A page, or a part of one, made of a template in the folder `templates`. Every template knows `base`, under which
    the public sees us; `principal`, who asks; `navigation`; `here`, the path of ours that was asked for."""
    around = {
        "base": public_path(asked),
        "principal": asked.principal,
        "account": asked.principal.may(Right.ACCOUNT),
        "navigation": navigation.entries_for(asked.principal),
        "here": navigation.current(asked.at),
    }
    made = _TEMPLATES.get_template(template).render(around | values)
    return Answer(status, HTML, made.encode(), (*headers(POLICY, archive.settings.http), _NO_STORE))


def file(archive: Archive, asked: Asked) -> Answer:
    """A script, style sheet or picture. Raises NotFound."""
    return _STATIC.file(asked.path["file"], archive.settings.http)


def wants_part(asked: Asked) -> bool:
    """Whether htmx asks, for a part of the page that it has."""
    return asked.headers.get("hx-request") == "true" and asked.headers.get("hx-boosted") != "true"


def is_browser(asked: Asked) -> bool:
    """Whether HTML is taken by name."""
    return "text/html" in asked.headers.get("accept", "").lower()


def refused(archive: Archive, asked: Asked, error: ArchiveError) -> Answer:
    """What a browser gets in place of a page. Raises the error where it is no browser that asks."""
    if wants_part(asked):
        if isinstance(error, NotSignedIn):
            return Answer(401, headers=(("HX-Refresh", "true"), _NO_STORE))  # which then leads to signing in
        raise error
    if not is_browser(asked):
        raise error
    if isinstance(error, NotSignedIn) and (there := sign_in.first(archive, asked, asked.at)) is not None:
        return there
    if isinstance(error, MustEnrol):
        account = f"{public_path(asked)}/account"
        return text(303, "set up a second factor first", ("Location", account), _NO_STORE)
    said = worded(error)
    title = HTTPStatus(said.status).phrase
    assert isinstance(said.body, bytes)
    seen = replace(asked, principal=whoever(archive, asked))
    page = render(
        archive, seen, "error.html", status=said.status, title=title, sentence=said.body.decode().strip()
    )
    return Answer(said.status, HTML, page.body, (*page.headers, *said.headers))


def whoever(archive: Archive, asked: Asked) -> Principal:
    """Who asks, where what they bring is good for anything."""
    if not admission.is_required(archive.settings):
        return UNASKED
    try:
        return admission.who(archive, asked)
    except ArchiveError:
        return NOBODY
