"""Every attack of reliability.md 2.2 has tests, each of which says so; and the page in docs/ says the same."""

from __future__ import annotations

import ast
import functools
import re

import pytest

import attacks
from attacks import ATTACKS, PAGE, ROOT

NUMBERS = {"D": 15, "O": 12, "H": 20}
"""How many there are of each kind."""


@functools.cache
def documented(file: str) -> dict[str, str]:
    """The name and docstring of each test in a file below tests/."""
    tree = ast.parse((ROOT / "tests" / file).read_text(encoding="utf-8"))
    return {
        one.name: f"{one.name} {ast.get_docstring(one) or ''}"
        for one in ast.walk(tree)
        if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef) and one.name.startswith("test")
    }


def test_none_is_missing() -> None:
    for kind, number in NUMBERS.items():
        assert [f"{kind}{at}" for at in range(1, number + 1)] == [one for one in ATTACKS if one[0] == kind]


@pytest.mark.parametrize("number", ATTACKS)
def test_each_is_cited_by_its_tests(number: str) -> None:
    attack = ATTACKS[number]
    assert attack.tests
    for test in attack.tests:
        file, _, name = test.partition("::")
        said = documented(file).get(name)
        assert said is not None, f"{test} is not there"
        assert re.search(rf"(?<![0-9a-z]){number}(?![0-9a-z])", said.replace("_", " "), re.IGNORECASE), (
            f"{test} does not say {number}"
        )


def test_the_page_is_of_the_table() -> None:
    assert PAGE.read_text(encoding="utf-8") == attacks.page(), "run: python tests/attacks.py"
