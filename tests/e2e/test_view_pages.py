"""Who sees what, said in Chromium: with the keyboard, on a telephone, in the dark; in effect at once."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect
from pydicom import Dataset
from pynetdicom import AE
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind  # type: ignore[attr-defined]

import browsing
from archive_process import ArchiveServer
from in_process import in_folder
from npm_packages import PackageMissing, package
from objects import part10, secondary_capture
from test_light_viewer import _FAULTS, AXE

PASSWORD = "correct horse battery"
MARY = "St. Mary's; North, East"
"""What divides conditions and values is part of a name."""
IN_A_FIELD = "St. Mary's; North\\, East"
TITLE = "READER"


@pytest.fixture(scope="module")
def server(module_archive: Callable[..., ArchiveServer]) -> ArchiveServer:
    server = module_archive("--workers", "2", environment={"ARCHIVE_SIGN_IN_REQUIRED": "always"})
    folder = Path(server.data)
    for name, role in (("ada", "administrator"), ("bob", "viewer"), ("eve", "viewer")):
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(sys, "stdin", io.StringIO(f"{PASSWORD}\n"))
            known = in_folder(folder, "user", "add", name, "--role", role, "--password-stdin")
        assert known.code == 0, known.stderr
    for title in (TITLE, "OTHER"):
        assert in_folder(folder, "ae", "add", title, "127.0.0.1", "11113").code == 0
    return server


@pytest.fixture(scope="module")
def studies(server: ArchiveServer) -> dict[str, Dataset]:
    made = {name: secondary_capture(InstitutionName=name) for name in (MARY, "Holy Cross")}
    token = in_folder(Path(server.data), "token", "add", "ada", "--label", "x").stdout.strip()
    for one in made.values():
        body = b"--B\r\nContent-Type: application/dicom\r\n\r\n" + part10(one) + b"\r\n--B--\r\n"
        headers = {
            "Authorization": f"Bearer {token}",
            "Content-Type": 'multipart/related; type="application/dicom"; boundary=B',
        }
        assert httpx.post(f"{server.dicomweb_url}/studies", content=body, headers=headers).status_code == 200
    return made


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with browsing.running(chromium) as running:
        yield running


def signed_in(page: Page, server: ArchiveServer, name: str) -> None:
    page.goto(f"{server.http_url}/sign-in?next=/account")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_title("Your account · DICOM archive", timeout=browsing.SECONDS * 1000)


@pytest.fixture
def seen(browser: Browser, server: ArchiveServer, studies: dict[str, Dataset]) -> Iterator[browsing.Watched]:
    """A page in which Ada has signed in, who administers; what she has said is taken back."""
    with browsing.watched(browser, server.http_url, **browsing.DESKTOP) as seen:
        signed_in(seen.page, server, "ada")
        yield seen
    assert in_folder(Path(server.data), "user", "set", "bob", "--see-all").code == 0


@pytest.fixture
def bob(browser: Browser, server: ArchiveServer) -> Iterator[Page]:
    """Somebody else's page."""
    context = browser.new_context(locale="en-GB")
    page = context.new_page()
    signed_in(page, server, "bob")
    yield page
    context.close()


def found(page: Page, server: ArchiveServer, studies: dict[str, Dataset], **headers: str) -> list[str]:
    """The institutions of which somebody finds a study, on whichever worker."""
    texts = {page.request.get(f"{server.dicomweb_url}/studies", headers=headers).text() for _ in range(6)}
    (there,) = {
        tuple(name for name, one in studies.items() if one.StudyInstanceUID in text) for text in texts
    }
    return list(there)


def test_somebody_is_shown_less_with_the_keyboard_alone(
    seen: browsing.Watched, bob: Page, server: ArchiveServer, studies: dict[str, Dataset]
) -> None:
    page = seen.page
    assert found(bob, server, studies) == list(studies)
    page.goto(f"{server.http_url}/people/bob")
    form = page.get_by_role("region", name="What they see")
    expect(form.get_by_text("All studies").first).to_be_visible()
    expect(form.get_by_label("Institution")).to_be_hidden()
    form.get_by_label("All studies").focus()
    page.keyboard.press("ArrowDown")
    expect(form.get_by_label("Institution")).to_be_visible()
    page.keyboard.press("Tab")
    page.keyboard.type(IN_A_FIELD)
    for _ in range(8):  # over the other conditions and the button that takes them away
        page.keyboard.press("Tab")
    expect(form.get_by_role("button", name="Other studies as well")).to_be_focused()
    page.keyboard.press("Enter")
    expect(form.get_by_label("Institution").nth(1)).to_be_focused()
    page.keyboard.type("Nowhere")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.type("ct, mr")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    told = [f"Institution {MARY}", "Institution Nowhere and Modality CT or MR"]
    expect(form.get_by_role("listitem")).to_have_text(told)
    assert found(bob, server, studies) == [MARY]
    page.goto(f"{server.http_url}/people/bob")  # what was read back is the same again
    with page.expect_navigation():
        form.get_by_role("button", name="Set what they see").click()
    assert found(bob, server, studies) == [MARY]
    bob.goto(f"{server.http_url}/account")
    expect(bob.get_by_text("An administrator has said so")).to_be_visible()
    with page.expect_navigation():
        form.get_by_label("All studies").check()
        form.get_by_role("button", name="Set what they see").click()
    assert found(bob, server, studies) == list(studies)


def test_no_conditions_are_not_all_studies(
    seen: browsing.Watched, bob: Page, server: ArchiveServer, studies: dict[str, Dataset]
) -> None:
    page = seen.page
    page.goto(f"{server.http_url}/people/bob")
    form = page.get_by_role("region", name="What they see")
    form.get_by_label("Only those").check()
    form.get_by_role("button", name="Set what they see").click()
    expect(page.get_by_role("alert")).to_contain_text("a condition at least")
    form.get_by_role("button", name="Remove these conditions").click()
    expect(form.get_by_role("button", name="Other studies as well")).to_be_focused()
    form.get_by_role("button", name="Set what they see").click()
    expect(page.get_by_role("alert")).to_contain_text("a condition at least")
    form.get_by_role("button", name="Other studies as well").click()
    form.get_by_label("Patient ID", exact=True).fill("47*")
    form.get_by_role("button", name="Set what they see").click()
    expect(page.get_by_role("alert")).to_contain_text("a Patient ID as it is")
    assert found(bob, server, studies) == list(studies)
    seen.complaints.clear()  # 400


def test_ones_own_token_shows_less_and_never_more(
    bob: Page, server: ArchiveServer, studies: dict[str, Dataset]
) -> None:
    def token(institution: str) -> dict[str, str]:
        bob.goto(f"{server.http_url}/account")
        bob.get_by_label("What it is for").fill("export")
        bob.get_by_label("Only those").check()
        bob.get_by_label("Institution").fill(institution)
        bob.get_by_role("button", name="Make a token").click()
        expect(bob.locator("#secret output")).to_contain_text("dat_")
        return {"Authorization": f"Bearer {bob.locator('#secret output').inner_text()}"}

    headers = token("Holy Cross")
    assert found(bob, server, studies, **headers) == ["Holy Cross"]
    narrowed = in_folder(Path(server.data), "user", "set", "bob", "--see", "institution=St. Mary*")
    assert narrowed.code == 0, narrowed.stderr
    assert found(bob, server, studies, **headers) == []
    assert found(bob, server, studies, **token("*o*")) == [MARY]
    bob.goto(f"{server.http_url}/account")
    expect(bob.get_by_role("cell", name="institution=Holy Cross")).to_be_visible()
    assert in_folder(Path(server.data), "user", "set", "bob", "--see-all").code == 0


def finds(server: ArchiveServer, studies: dict[str, Dataset]) -> list[str]:
    """What a C-FIND by the title finds, on an association of its own."""
    ae = AE(TITLE)
    ae.add_requested_context(StudyRootQueryRetrieveInformationModelFind)
    association = ae.associate("127.0.0.1", server.dimse_port, ae_title=server.ae_title)
    assert association.is_established
    asking = Dataset()
    asking.QueryRetrieveLevel, asking.StudyInstanceUID = "STUDY", ""
    answers = association.send_c_find(asking, StudyRootQueryRetrieveInformationModelFind)
    uids = {one.StudyInstanceUID for _, one in answers if one is not None}
    association.release()
    return [name for name, one in studies.items() if one.StudyInstanceUID in uids]


def test_an_ae_title_is_shown_less(
    seen: browsing.Watched, server: ArchiveServer, studies: dict[str, Dataset]
) -> None:
    page = seen.page
    assert finds(server, studies) == list(studies)
    page.goto(f"{server.http_url}/ae-titles")
    page.get_by_role("link", name=TITLE, exact=True).click()
    form = page.get_by_role("region", name="What it sees")
    form.get_by_label("Only those").check()
    form.get_by_label("Institution").fill("Holy*")
    with page.expect_navigation():
        form.get_by_role("button", name="Set what it sees").click()
    expect(form.get_by_text("Institution Holy*")).to_be_visible()
    assert all(finds(server, studies) == ["Holy Cross"] for _ in range(6))  # of two workers
    page.goto(f"{server.http_url}/ae-titles")
    expect(page.get_by_role("cell", name="Institution Holy*")).to_be_visible()
    page.get_by_role("button", name=f"Edit {TITLE}").click()
    page.get_by_label("Port").fill("11114")
    with page.expect_navigation():
        page.get_by_role("button", name="Save").click()
    assert finds(server, studies) == ["Holy Cross"], "another port does not show more"


def test_somebody_is_added_who_sees_some(
    seen: browsing.Watched, server: ArchiveServer, studies: dict[str, Dataset]
) -> None:
    page = seen.page
    page.goto(f"{server.http_url}/people")
    page.get_by_label("Name to sign in with").fill("carl")
    page.get_by_label("viewer").check()
    page.get_by_label("Only those").check()
    page.get_by_label("Sent by AE title").fill("CT1")
    with page.expect_navigation():
        page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_role("cell", name="Sent by AE title CT1")).to_be_visible()


DARK_PHONE: dict[str, Any] = {**browsing.PHONE, "color_scheme": "dark"}


@pytest.mark.parametrize("path", ["/people", "/people/eve", "/account", "/ae-titles/OTHER", "/ae-titles"])
@pytest.mark.parametrize("options", [browsing.DESKTOP, DARK_PHONE], ids=["desktop", "telephone in the dark"])
def test_axe_finds_no_fault(
    browser: Browser,
    server: ArchiveServer,
    studies: dict[str, Dataset],
    path: str,
    options: Any,
    tmp_path: Path,
) -> None:
    try:
        script = package("axe-core", AXE, lambda name: name.endswith("axe.min.js")) / "package" / "axe.min.js"
    except PackageMissing as missing:
        pytest.skip(str(missing))
    folder = Path(server.data)
    lines = ("--see", "institution=St. Mary*; modality=CT,MR", "--see", "patient=4711")
    assert in_folder(folder, "user", "set", "eve", *lines).code == 0
    assert in_folder(folder, "ae", "set", "OTHER", *lines[2:]).code == 0
    with browsing.watched(browser, server.http_url, **options) as watched:
        page = watched.page
        signed_in(page, server, "ada")
        page.goto(f"{server.http_url}{path}")
        if page.get_by_label("Only those").count():
            page.get_by_label("Only those").check()
        page.screenshot(path=tmp_path / "page.png", full_page=True)
        page.evaluate(script.read_text())
        faults, passed = page.evaluate(_FAULTS)
    assert faults == []
    assert passed > 5
