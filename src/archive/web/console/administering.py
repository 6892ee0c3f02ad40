"""The console's pages for who runs the archive: AE titles, people, and what waits for a decision or another attempt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archive.dicom.errors import NotFound
from archive.security.ae_titles import AETitle
from archive.security.operations import ALL_OPERATIONS
from archive.security.roles import Right, Role
from archive.services.conflicts import WAITING
from archive.services.corrections import State
from archive.services.reports import Progress
from archive.settings.values import Address
from archive.web.api import listing, people
from archive.web.console import pages, seeing
from archive.web.http.exchange import Answer, Asked

if TYPE_CHECKING:
    from archive.bootstrap.building import Archive

SHOWN = 100
REFUSALS_SHOWN = 50
USUAL_PORT = 104
_ANY_HOST = {"0.0.0.0", "::"}


def ae_titles(archive: Archive, asked: Asked) -> Answer:
    """Who is known, who was refused, and what to set at a modality. A refused caller is filled in with `title` and
    `host`. Raises InvalidQuery."""
    known = archive.ae_titles.all()
    refused = archive.refusals.associations(REFUSALS_SHOWN)
    last: dict[str, Any] = {}
    for one in refused:
        last.setdefault(one.refused.calling.strip(), one)
    titles = {one.title for one in known}
    asked_for = {name: asked.parameter(name) or "" for name in ("title", "host")}
    return pages.render(
        archive,
        asked,
        "ae-titles.html",
        known=[_ae_title(one) for one in known],
        last=last,
        titles=titles,
        refused=refused,
        moment=listing.moment,
        asked_for=asked_for,
        port=USUAL_PORT,
        own=_own(archive, asked),
    )


def everybody(archive: Archive, asked: Asked) -> Answer:
    """Who may sign in."""
    known = [{**people.form(one), "sees": seeing.words(one.view)} for one in archive.people.all()]
    roles = [role.value for role in Role]
    return pages.render(archive, asked, "people.html", people=known, roles=roles, seen=seeing.about(None))


def person(archive: Archive, asked: Asked) -> Answer:
    """One of them, with what they have signed in with. Raises NotFound, InvalidEntry."""
    one = archive.people.get(asked.path["person"])
    found = [people.credential_form(each) for each in archive.people.credentials(one.name)]
    return pages.render(
        archive,
        asked,
        "person.html",
        person=people.form(one),
        credentials=found,
        roles=[role.value for role in Role],
        seen=seeing.about(one.view),
        may_be_given=archive.people.may_be_given_a_view(one),
        path="/api/credentials",
    )


def account(archive: Archive, asked: Asked) -> Answer:
    """One's own password, second factor, tokens and sessions. Raises NotFound where nobody signs in."""
    name = asked.principal.name
    if not name:
        raise NotFound("nobody signs in here, so nobody has an account: see sign_in.required")
    one = archive.people.get(name)
    found = [people.credential_form(each) for each in archive.people.credentials(name)]
    return pages.render(
        archive,
        asked,
        "account.html",
        person=people.form(one),
        factor=archive.second_factors.standing(name),
        credentials=found,
        roles=sorted(role.value for role in one.roles),
        seen=seeing.about(asked.principal.view),
        of_token=seeing.about(None),
        path="/api/tokens",
    )


def conflicts(archive: Archive, asked: Asked) -> Answer:
    """Objects whose identifiers are taken, and that wait for somebody."""
    found = archive.conflicts.last(SHOWN, WAITING)
    return pages.render(archive, asked, "conflicts.html", conflicts=found, moment=listing.moment, most=SHOWN)


def work(archive: Archive, asked: Asked) -> Answer:
    """What others could not be told yet, corrections that are not done, and what is in quarantine."""
    may_correct = asked.principal.may(Right.CORRECT)
    corrections = archive.corrections.last(SHOWN, (State.PENDING, State.FAILED)) if may_correct else ()
    return pages.render(
        archive,
        asked,
        "work.html",
        reports=[one for one in archive.reports.newest(SHOWN, None) if _is_left(one.progress)],
        notifications=[one for one in archive.notifications.newest(SHOWN, None) if _is_left(one.progress)],
        corrections=corrections,
        aside=archive.status.aside(SHOWN),
        most=SHOWN,
        moment=listing.moment,
    )


def _is_left(progress: Progress) -> bool:
    return progress is not Progress.DELIVERED


def _ae_title(one: AETitle) -> dict[str, object]:
    return {
        "title": one.title,
        "host": one.host,
        "port": one.port,
        "place": str(Address(one.host, one.port)),
        "operations": _operations(one),
        "tls": one.rules.tls,
        "sees": seeing.words(one.rules.view),
    }


def _operations(one: AETitle) -> str:
    if one.rules.operations == ALL_OPERATIONS:
        return "everything"
    return ", ".join(sorted(operation.value for operation in one.rules.operations)) or "nothing"


def _own(archive: Archive, asked: Asked) -> dict[str, object]:
    """What a modality has to be told of us: the host is as the browser knows it, where we listen on every address."""
    settings = archive.settings
    listen = settings.dimse.listen
    public = asked.base_url.partition("://")[2].partition("/")[0]
    host = public.rpartition(":")[0] if ":" in public.rpartition("]")[2] else public
    return {
        "titles": archive.ae_titles.own_titles,
        "host": host if listen.host in _ANY_HOST else listen.host,
        "port": listen.port,
        "tls": settings.tls.listen,
    }
