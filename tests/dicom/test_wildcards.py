"""Patterns fit what a regular expression of the same meaning fits, in no time (PS3.4 C.2.2.2.4)."""

from __future__ import annotations

import re
import time

from hypothesis import given
from hypothesis import strategies as st

from archive.dicom.matching.wildcards import fits, pieces_of

LETTERS = st.text("ab\n", max_size=8)


@given(st.text("ab*?\n", max_size=7), LETTERS)
def test_fits_like_a_regular_expression(pattern: str, text: str) -> None:
    spelled = "".join({"*": ".*", "?": "."}.get(char, re.escape(char)) for char in pattern)
    assert fits(pieces_of(pattern), text) == (re.fullmatch(spelled, text, re.DOTALL) is not None)


@given(
    st.text("ab", min_size=70, max_size=130),
    st.lists(st.integers(0, 69), min_size=1, max_size=60),
    LETTERS,
    LETTERS,
)
def test_long_runs_fit_where_they_stand(text: str, places: list[int], before: str, after: str) -> None:
    """A run too long for a regular expression: the text itself with some characters left open."""
    run = "".join("?" if at in places else char for at, char in enumerate(text))
    spelled = ".*" + "".join("." if char == "?" else char for char in run) + ".*"
    for other in (before + text + after, before + text[1:] + after, before + text.replace("a", "b") + after):
        assert fits(pieces_of(f"*{run}*"), other) == (re.fullmatch(spelled, other, re.DOTALL) is not None)


def test_no_pattern_takes_long() -> None:
    begun = time.monotonic()
    for pattern in (
        "*a?" * 1000 + "b*",
        "*" + "a" * 500 + "?" * 500 + "b*",
        "*a" * 2000 + "*b",
        "*" + "?a" * 2000 + "b*",
    ):
        assert not fits(pieces_of(pattern), "a" * 65_000)
    assert time.monotonic() - begun < 5
