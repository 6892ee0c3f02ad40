"""What an issuer says of the studies that somebody sees: read as the command line's, and never taken for everything."""

from __future__ import annotations

from typing import Any

import pytest

from archive.config import load
from archive.dicom.errors import ConfigurationError
from archive.security.openid import Checks
from archive.security.tokens import TokenRefused
from archive.security.views import View
from archive.settings.people import OpenIDSettings

NAMED = (
    "st-marys -> institution=St. Mary*; modality=CT,MR",
    "st-marys -> ae=CT1",
    "CN=Holy Cross,OU=Radiology -> institution=Holy Cross",
    "everything -> *",
)


def checks(*views: str, claim: str = "pacs.sees") -> Checks:
    return Checks(
        OpenIDSettings(issuer="https://login.example", client_id="a", view_claim=claim, views=views)
    )


def said(value: Any) -> dict[str, Any]:
    return {"sub": "1", "pacs": {"sees": value}}


@pytest.mark.parametrize(
    ("value", "lines"),
    [
        ("modality=CT", ["modality=CT"]),
        (
            ["modality=CT", " institution=St. Mary*; ae=CT1 "],
            ["modality=CT", "institution=St. Mary*; ae=CT1"],
        ),
        ("*", None),
        (["modality=CT", "*"], None),
    ],
    ids=str,
)
def test_values_are_views_where_none_have_names(value: Any, lines: list[str] | None) -> None:
    assert checks().view(said(value)) == (View.read(lines) if lines else None)


@pytest.mark.parametrize(
    ("value", "lines"),
    [
        ("st-marys", ["institution=St. Mary*; modality=CT,MR", "ae=CT1"]),
        (["staff", "CN=Holy Cross,OU=Radiology"], ["institution=Holy Cross"]),
        (["staff", "everything", "st-marys"], None),
    ],
    ids=str,
)
def test_values_stand_for_the_views_of_the_settings(value: Any, lines: list[str] | None) -> None:
    assert checks(*NAMED).view(said(value)) == (View.read(lines) if lines else None)


WRONG: list[Any] = [
    *(None, [], "", [""], {}, {"x": "y"}, 1, True, [1], [None], [["modality=CT"]]),
    *("institution=*", "institution", "colour=red", ["modality=CT", "colour=red"], ["*", "colour=red"]),
    *("**", "* ;", "modality=CT\n", "patient=*", ["modality=CT"] * 3 + [["*"]]),
    [f"patient={number}" for number in range(51)],
    "institution=" + "x" * 30_000,
]


@pytest.mark.parametrize("value", WRONG, ids=[str(number) for number in range(len(WRONG))])
def test_what_is_missing_or_malformed_lets_nobody_in(value: Any) -> None:
    if value == "modality=CT\n":  # around it there may be spaces, as on the command line
        assert checks().view(said(value)) == View.read(["modality=CT"])
        return
    for known in ((), NAMED):
        with pytest.raises(
            TokenRefused, match=r"pacs\.sees, openid\.view.*ask who runs the archive"
        ) as refused:
            checks(*known).view(said(value))
        assert "patient=" not in refused.value.reason


@pytest.mark.parametrize(
    "claims", [{}, {"pacs": None}, {"pacs": "sees"}, {"pacs": []}, {"sees": "*"}], ids=str
)
def test_a_claim_that_is_not_there_lets_nobody_in(claims: dict[str, Any]) -> None:
    with pytest.raises(TokenRefused, match="does not say which studies you see"):
        checks().view(claims)


def test_a_view_of_the_settings_is_not_written_by_the_issuer() -> None:
    for value in ("institution=Holy Cross", "*", "ST-MARYS", "st-marys -> *", ["staff"]):
        with pytest.raises(TokenRefused, match="names no studies that are known here"):
            checks(*NAMED).view(said(value))


@pytest.mark.parametrize("entry", ["st-marys -> institution=*", "st-marys -> colour=red", "x -> **"])
def test_views_that_cannot_be_read_stop_the_start(entry: str) -> None:
    with pytest.raises(ConfigurationError, match=r"openid\.views: .* see:"):
        checks(entry)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"VIEWS": "st-marys=institution=x"}, "THEIRS -> VIEW"),
        ({"VIEWS": "-> institution=x"}, "THEIRS -> VIEW"),
        ({"VIEWS": "st-marys ->"}, "THEIRS -> VIEW"),
        ({"VIEWS": "st-marys -> *", "VIEW_CLAIM": ""}, "view_claim"),
    ],
    ids=["no arrow", "no name", "no view", "no claim"],
)
def test_settings_that_cannot_be_meant(changed: dict[str, str], why: str) -> None:
    said = {"ISSUER": "https://login.example", "CLIENT_ID": "archive", "VIEW_CLAIM": "sees", **changed}
    with pytest.raises(ConfigurationError, match=why):
        load(environment={f"ARCHIVE_OPENID_{name}": value for name, value in said.items()})
