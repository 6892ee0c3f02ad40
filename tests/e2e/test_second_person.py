"""Deletions, holds and rules of AE titles in Chromium: one asks and another approves, a hold is in the way until it is
lifted, a rule is changed; in the light, in the dark and on a telephone."""

from __future__ import annotations

import io
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

import browsing
import dicomweb
from archive_process import ArchiveServer
from in_process import in_folder
from npm_packages import PackageMissing, package
from objects import new_uid, part10, secondary_capture
from test_light_viewer import _FAULTS, AXE

PASSWORD = "correct horse battery"
MARKUP = "<img src=x onerror=alert(1)>"
NAMES = {
    "ada": ("administrator",),
    "bob": ("administrator",),
    "eve": ("auditor", "viewer"),
}
LOOKS = {
    "light": browsing.DESKTOP,
    "dark": {**browsing.DESKTOP, "color_scheme": "dark"},
    "phone": browsing.PHONE,
}


@pytest.fixture(scope="module")
def server(module_archive: Callable[..., ArchiveServer]) -> ArchiveServer:
    """Deletions want a second person; there are two who may, and one who places holds."""
    environment = {"ARCHIVE_SIGN_IN_REQUIRED": "always", "ARCHIVE_DELETION_APPROVAL": "true"}
    server = module_archive("--workers", "1", environment=environment)
    for name, roles in NAMES.items():
        said = [word for role in roles for word in ("--role", role)]
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(sys, "stdin", io.StringIO(f"{PASSWORD}\n"))
            known = in_folder(Path(server.data), "user", "add", name, *said, "--password-stdin")
        assert known.code == 0, known.stderr
    return server


@pytest.fixture(scope="module")
def token(server: ArchiveServer) -> str:
    return in_folder(Path(server.data), "token", "add", "ada", "--label", "tests").stdout.strip()


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with browsing.running(chromium) as running:
        yield running


def stored(server: ArchiveServer, token: str) -> str:
    """The UID of a study of a patient of its own."""
    one = secondary_capture(PatientID=new_uid(), PatientName="Sample^Ida")
    answer = dicomweb.CLIENT.post(
        f"{server.dicomweb_url}/studies",
        content=dicomweb.stow_body([part10(one)]),
        headers={"Content-Type": dicomweb.STOW_TYPE, "Authorization": f"Bearer {token}"},
    )
    assert answer.status_code == 200, answer.text
    return str(one.StudyInstanceUID)


@contextmanager
def signed_in(
    browser: Browser, server: ArchiveServer, name: str, path: str, look: str = "light"
) -> Iterator[browsing.Watched]:
    """A page in which somebody has signed in, and what it complained of."""
    with browsing.watched(browser, server.http_url, **LOOKS[look]) as seen:
        page = seen.page
        page.goto(f"{server.http_url}/sign-in?next={path}")
        page.get_by_label("Name").fill(name)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(f"{server.http_url}{path}")
        yield seen


def ask_for_deletion(page: Page, reason: str) -> None:
    page.get_by_role("button", name="Delete …").click()
    page.get_by_label("Type delete to confirm").fill("delete")
    page.get_by_label("Reason").fill(reason)
    page.get_by_role("button", name="Delete study").click()


def hurry(server: ArchiveServer) -> None:
    """What was deleted goes at once, and not after a minute."""
    with closing(sqlite3.connect(Path(server.data) / "index.sqlite", timeout=30)) as index, index:
        index.execute("UPDATE outbox SET due_at = ? WHERE event = 'BlobsDeleted'", (time.time() - 1,))


def row(study: str) -> str:
    """A selector of the rows about this study."""
    return f"tr:has-text('{study}')"


def test_one_asks_and_another_approves(browser: Browser, server: ArchiveServer, token: str) -> None:
    study = stored(server, token)
    with signed_in(browser, server, "ada", f"/study/{study}") as seen:
        page = seen.page
        ask_for_deletion(page, f"sent twice {MARKUP}")
        expect(page.get_by_role("alert")).to_contain_text("until a second person has approved")
        page.goto(f"{server.http_url}/deletions")
        mine = page.locator(row(study))
        expect(mine).to_contain_text("You asked for it: somebody else has to approve.")
        expect(mine).to_contain_text(MARKUP)
        expect(mine.get_by_role("button", name="Approve")).to_have_count(0)
    with signed_in(browser, server, "bob", "/deletions") as seen:
        page = seen.page
        page.locator(row(study)).get_by_role("button", name="Approve").click()
        with page.expect_navigation():
            page.get_by_role("button", name="Really delete").click()
        expect(page.locator(row(study))).to_contain_text("deleted")
        hurry(server)
        view = page.locator(row(study)).get_by_role("link", name="View certificate")

        def is_certified() -> bool:
            page.reload()
            return view.count() == 1

        browsing.until(page, is_certified)
        with page.expect_download() as download:
            page.locator(row(study)).get_by_role("link", name="Download certificate").click()
        assert study in download.value.path().read_text()
        view.click()
        expect(page.get_by_role("heading", name="Certificate")).to_be_visible()
        expect(page.get_by_role("region", name="Certificate").last).to_contain_text(
            "1 objects were destroyed"
        )


def test_one_refuses_with_a_reason(browser: Browser, server: ArchiveServer, token: str) -> None:
    study = stored(server, token)
    with signed_in(browser, server, "ada", f"/study/{study}") as seen:
        ask_for_deletion(seen.page, "sent twice")
        expect(seen.page.get_by_role("alert")).to_contain_text("until a second person has approved")
    with signed_in(browser, server, "bob", "/deletions") as seen:
        page = seen.page
        mine = page.locator(row(study))
        mine.locator("summary").click()
        mine.get_by_label("Reason to refuse").fill(f"it is wanted {MARKUP}")
        with page.expect_navigation():
            mine.get_by_role("button", name="Refuse").click()
        expect(mine).to_contain_text(f"it is wanted {MARKUP}")
        expect(mine).to_contain_text("refused")


def test_a_hold_is_in_the_way_until_it_is_lifted(browser: Browser, server: ArchiveServer, token: str) -> None:
    study = stored(server, token)
    with signed_in(browser, server, "eve", f"/study/{study}") as seen:
        page = seen.page
        expect(page.get_by_role("button", name="Delete …")).to_have_count(0)
        page.get_by_role("button", name="Hold …").click()
        page.get_by_label("All studies of patient").check()
        page.get_by_label("Reason").fill(f"a court {MARKUP}")
        page.get_by_role("button", name="Place hold").click()
        expect(page.get_by_role("link", name="On legal hold")).to_be_visible()
    with signed_in(browser, server, "ada", f"/study/{study}") as seen:
        page = seen.page
        expect(page.get_by_role("heading", level=1)).to_contain_text("On legal hold")
        ask_for_deletion(page, "sent twice")
        expect(page.get_by_role("alert")).to_contain_text(
            "nothing of it is deleted before the hold is lifted"
        )
        assert [said for said in seen.complaints if "409" not in said] == []
        seen.complaints.clear()
    with signed_in(browser, server, "eve", "/holds") as seen:
        page = seen.page
        standing = page.get_by_role("region", name="Standing").locator(row(study))
        standing.locator("summary", has_text="Lift").click()
        standing.get_by_label("Reason to lift").fill("the case is closed")
        with page.expect_navigation():
            standing.get_by_role("button", name="Lift").click()
        expect(standing).to_have_count(0)
        expect(page.locator(row(study))).to_contain_text("the case is closed")
    with signed_in(browser, server, "ada", f"/study/{study}") as seen:
        expect(seen.page.get_by_text("On legal hold")).to_have_count(0)
        ask_for_deletion(seen.page, "sent twice")
        expect(seen.page.get_by_role("alert")).to_contain_text("until a second person has approved")


def test_a_patient_is_asked_for_on_the_page(browser: Browser, server: ArchiveServer, token: str) -> None:
    with signed_in(browser, server, "ada", "/deletions") as seen:
        page = seen.page
        page.get_by_label("Patient ID", exact=True).fill("NOBODY")
        page.locator("#reason").fill("asked to be forgotten")
        page.get_by_label("Type delete to confirm").fill("delete")
        page.get_by_role("button", name="Ask for deletion").click()
        expect(page.get_by_role("alert")).to_contain_text("nothing of this patient is stored")
        seen.complaints.clear()  # 404


def test_rules_of_an_ae_title_are_changed(browser: Browser, server: ArchiveServer) -> None:
    data = Path(server.data)
    made = in_folder(data, "ae", "add", "CT/1", "192.0.2.1", "104", "--alias", "", "--alias", "A\\x07B")
    assert made.code == 0, made.stderr
    with signed_in(browser, server, "ada", "/ae-titles") as seen:
        page = seen.page
        page.get_by_role("link", name="Rules of CT/1").click()
        page.get_by_label("Addresses").fill("192.0.2.0/24\n198.51.100.7")
        page.get_by_label("store", exact=True).uncheck()
        page.get_by_label("Maximum associations").fill("3")
        page.get_by_label("Require TLS").check()
        page.get_by_label("Duplicates").select_option("reject")
        with page.expect_navigation():
            page.get_by_role("button", name="Save").click()
        expect(page.get_by_label("Addresses")).to_have_value("192.0.2.0/24\n198.51.100.7")
        expect(page.get_by_label("store", exact=True)).not_to_be_checked()
        expect(page.get_by_label("Aliases")).to_have_value('""\nA\\x07B')
        page.get_by_label("Addresses").fill("no address")
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_role("alert")).to_contain_text("an address, or a network")
        seen.complaints.clear()  # 400
    shown = in_folder(data, "ae", "show", "CT/1").stdout
    assert all(word in shown for word in ("198.51.100.7", "reject", "\\x07")), shown


@pytest.fixture(scope="module")
def number(server: ArchiveServer, token: str) -> int:
    """Of a deletion that waits and is held; beside it a hold that stands, and an AE title with a rule."""
    data, study = Path(server.data), stored(server, token)
    answer = dicomweb.CLIENT.post(
        f"{server.http_url}/api/deletions",
        json={"StudyInstanceUID": study, "reason": MARKUP},
        headers={"Authorization": f"Bearer {token}"},
    )
    assert answer.status_code == 202, answer.text
    assert in_folder(data, "hold", "add", "--study", study, "--reason", MARKUP).code == 0
    assert in_folder(data, "ae", "add", "SHOWN", "192.0.2.1", "104", "--address", "192.0.2.0/24").code == 0
    return int(answer.json()["id"])


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("bob", "/deletions"),
        ("bob", "/deletions/{number}"),
        ("bob", "/deletions/due"),
        ("eve", "/holds"),
        ("bob", "/ae-titles/SHOWN"),
        ("bob", "/work"),
    ],
)
def test_axe_finds_no_fault(
    browser: Browser, server: ArchiveServer, number: int, tmp_path: Path, name: str, path: str, look: str
) -> None:
    try:
        script = package("axe-core", AXE, lambda name: name.endswith("axe.min.js")) / "package" / "axe.min.js"
    except PackageMissing as missing:
        pytest.skip(str(missing))
    with signed_in(browser, server, name, path.format(number=number), look) as seen:
        page = seen.page
        expect(page.locator("main h1")).to_be_visible()
        assert page.locator("main img").count() == 0, "markup is text"
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.screenshot(path=tmp_path / "page.png", full_page=True)
        page.evaluate(script.read_text())
        found = page.evaluate(_FAULTS)
        assert found[0] == []
        assert found[1] > 5


@pytest.mark.parametrize("look", LOOKS)
def test_the_page_of_a_study_on_hold(
    browser: Browser, server: ArchiveServer, token: str, tmp_path: Path, look: str
) -> None:
    study = stored(server, token)
    assert in_folder(Path(server.data), "hold", "add", "--study", study, "--reason", MARKUP).code == 0
    with signed_in(browser, server, "eve", f"/study/{study}", look) as seen:
        page = seen.page
        expect(page.get_by_role("link", name="On legal hold")).to_be_visible()
        page.get_by_role("button", name="Hold …").click()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.screenshot(path=tmp_path / "page.png")
