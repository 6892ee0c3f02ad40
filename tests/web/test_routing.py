"""Which resource a path means: what the tree finds is what trying one pattern after the other finds."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archive.web.app import by_path
from archive.web.http.routing import Paths

TEMPLATES = list(by_path())
PATHS = Paths({template: template for template in TEMPLATES})
WORDS = sorted({segment for template in TEMPLATES for segment in template.split("/") if "{" not in segment})
SEGMENTS = st.one_of(st.sampled_from(WORDS), st.sampled_from(["1.2", "", ".", "a b", "é", "x\n"]))


def one_after_the_other(path: str) -> tuple[str, dict[str, str]] | None:
    """The first template whose pattern fits; those that hold any number of segments last."""
    for template in sorted(TEMPLATES, key=lambda each: ":path" in each):
        pattern = re.sub(r"\{(\w+):path\}", r"(?P<\1>(?s:.*))", template)
        found = re.fullmatch(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", pattern), path)
        if found:
            return template, found.groupdict()
    return None


@given(
    st.one_of(
        st.lists(SEGMENTS, max_size=12).map(lambda segments: "/" + "/".join(segments)),
        st.sampled_from(TEMPLATES).flatmap(
            lambda template: st.lists(SEGMENTS, min_size=5, max_size=5).map(
                lambda values: re.sub(r"\{[^}]*\}", lambda _: values.pop(), template)
            )
        ),
    )
)
def test_the_tree_finds_what_the_patterns_find(path: str) -> None:
    assert PATHS.find(path) == one_after_the_other(path)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/a/b", ("/a/b", {})),
        ("/a/c", ("/a/{x}", {"x": "c"})),
        ("/a/b/d", ("/a/{x}/d", {"x": "b"})),
        ("/a/b/e", ("/a/{x:path}", {"x": "b/e"})),
        ("/a/", ("/a/{x:path}", {"x": ""})),
        ("/a", None),
        ("a/b", None),
    ],
)
def test_what_is_named_comes_before_what_may_be_anything(
    path: str, found: tuple[str, dict[str, str]] | None
) -> None:
    templates = ["/a/{x:path}", "/a/{x}", "/a/{x}/d", "/a/b"]
    assert Paths({template: template for template in templates}).find(path) == found
