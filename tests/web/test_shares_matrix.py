"""Who came by a share, and every route that shows studies: a matrix of roles, states of the share and objects, made
from the route table (reliability.md H14)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import pytest

from archive.security.roles import RIGHTS, Right, Role
from archive.security.shares import Share, Wanted
from archive.web.routes import ROUTES, Route
from shared_studies import MAKER, House, asked, enter, shared_house, sign_in

VIEWED = {
    "SearchStudies", "SearchAllSeries", "SearchAllInstances", "SearchStudySeries", "SearchStudyInstances",
    "SearchSeriesInstances", "RetrieveStudyMetadata", "RetrieveSeriesMetadata", "RetrieveInstanceMetadata",
    "RetrieveBulkdata", "RetrieveFrames", "RetrieveRenderedStudy", "RetrieveRenderedSeries", "RetrieveRenderedInstance",
    "RetrieveRenderedFrames", "RetrieveStudyThumbnail", "RetrieveSeriesThumbnail", "RetrieveInstanceThumbnail",
    "RetrieveFrameThumbnail", "RetrieveURI",
}  # fmt: skip
"""What viewers need: open to every share. What is in neither of the two is open to none."""
DOWNLOADED = {
    "RetrieveStudy", "RetrieveSeries", "RetrieveInstance", "RetrieveStudyBulkdata", "RetrieveSeriesBulkdata",
    "RetrieveInstanceBulkdata", "RetrieveStudyPixelData", "RetrieveSeriesPixelData", "RetrieveInstancePixelData",
}  # fmt: skip
SEEN = [route for route in ROUTES if route.right is Right.SEE]
OVERALL = {"SearchStudies", "SearchAllSeries", "SearchAllInstances"}
"""Searches that name no study."""
SEARCHES = {"SearchStudySeries", "SearchStudyInstances", "SearchSeriesInstances"}
NARROWED = ("maker sees less", "maker sees none")
"""Since they shared both studies; `less` is the shared one alone."""
FOUND = range(200, 300)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with shared_house(tmp_path_factory.mktemp("archive")) as opened:
        yield opened


def test_every_route_that_shows_studies_is_judged_here() -> None:
    """What is new is open to no share, until it says so here and in the route table."""
    assert {route.name for route in SEEN} >= VIEWED | DOWNLOADED


def expected(route: Route, *, within: bool, may_download: bool) -> Callable[[httpx.Response], bool]:
    """What who came by a share has to get."""
    if route.name not in VIEWED | DOWNLOADED:
        return lambda answer: answer.status_code == 403
    if route.name in DOWNLOADED and not may_download:
        return lambda answer: answer.status_code == 403
    if within or route.name in OVERALL:
        return lambda answer: answer.status_code in FOUND and b"Hidden" not in answer.content
    if route.name in SEARCHES:
        return lambda answer: answer.status_code in (204, 404)
    return lambda answer: answer.status_code == 404


@pytest.mark.parametrize("role", [None, *Role])
@pytest.mark.parametrize("state", ["open", "used up", "revoked", "expired", "maker gone", "left", *NARROWED])
@pytest.mark.parametrize("may_download", [False, True])
def test_the_matrix(house: House, role: Role | None, state: str, may_download: bool) -> None:
    """H14: every route that shows studies, by the role of who has signed in besides, the state of the share, and
    whether the object is in it. In force it confines also those who may see all; over, it gives nobody anything."""
    with house.browser() as client, _in_state(house, client, role, state, may_download) as in_force:
        for route in SEEN:
            for within, of in ((True, house.shared), (False, house.other)):
                answer = asked(client, route, of)
                cell = route.name, within, answer.status_code
                if in_force:
                    assert expected(route, within=within, may_download=may_download)(answer), cell
                elif role is None:
                    assert answer.status_code == 401, cell
                elif Right.SEE not in RIGHTS[role]:
                    assert answer.status_code == 403, cell
                elif route.name in VIEWED | DOWNLOADED:
                    assert answer.status_code in FOUND, cell


def _made(house: House, state: str, may_download: bool) -> tuple[str, Share]:
    if state not in ("maker gone", *NARROWED):
        return house.make(may_download=may_download, most_uses=1 if state == "used up" else 0)
    archive = house.door.archive
    archive.people.add("gone", "", [Role.RADIOGRAPHER])
    studies = (house.shared, house.other) if state in NARROWED else (house.shared,)
    wanted = Wanted(tuple(one.StudyInstanceUID for one in studies), "Dr X", may_download=may_download)
    return archive.shares.make(MAKER, "gone", wanted, archive.retrieve)


@contextmanager
def _in_state(
    house: House, client: httpx.Client, role: Role | None, state: str, may_download: bool
) -> Iterator[bool]:
    archive = house.door.archive
    secret, made = _made(house, state, may_download)
    if role is not None:
        sign_in(client, role.value)
    assert enter(client, secret).status_code == 200
    kept = archive.shares._clock
    if state == "revoked":
        house.revoke(made)
    elif state == "expired":
        archive.shares._clock = lambda: made.expires_at
    elif state == "maker gone":
        archive.people.remove("gone")
    elif state in NARROWED:
        still = house.shared.StudyInstanceUID if state == NARROWED[0] else "1.2"
        archive.people.change("gone", see=[f"study={still}"])
    elif state == "left":
        cookies = dict(client.cookies)
        assert client.delete("/api/session").status_code == 204
        client.cookies.update(cookies)  # replayed by who has kept it
    try:
        yield state in ("open", "used up", NARROWED[0])
    finally:
        if state in NARROWED:
            archive.people.remove("gone")
        archive.shares._clock = kept


def test_a_share_changes_nothing(house: House) -> None:
    """Every other route refuses who came by one, or is for everybody."""
    secret, _ = house.make(may_download=True)
    with house.browser() as client:
        enter(client, secret)
        for route in ROUTES:
            if route.right not in (None, Right.SEE) and route.name != "OpenNotificationConnection":
                assert asked(client, route, house.shared).status_code == 403, route.name
