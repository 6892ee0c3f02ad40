"""Rules of coercion as an administrator writes them: what is wrong is said, and patterns mean what they say."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archive.dicom.rules.coercions import coercion_rule
from archive.dicom.rules.replacing import LONGEST_VALUE, replacing


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({}, "the rule does nothing"),
        ({"calling": "CT1"}, "the rule does nothing"),
        ({"sets": {"StationName": "S"}}, "unknown key sets; the nearest known is set"),
        ({"set": {"StationNam": "S"}}, "StationNam is no attribute that can be coerced"),
        ({"set": {"SOPInstanceUID": "1.2"}}, "SOPInstanceUID is no attribute that can be coerced"),
        ({"set": {"SpecificCharacterSet": "ISO_IR 100"}}, "SpecificCharacterSet is no attribute"),
        ({"set": {"PatientName": 5}}, "set.PatientName must be text"),
        ({"set": {"StationName": "S" * 17}}, "set.StationName"),
        ({"set": {"Modality": "ct"}}, "set.Modality"),
        ({"set": {"StudyDate": "2026-01-01"}}, "set.StudyDate"),
        ({"set": {"StationName": "a\x00"}}, "control character"),
        ({"set": "StationName"}, "set must be"),
        ({"default": {"Rows": "5"}}, "Rows is no attribute that can be coerced"),
        ({"copy": {"PatientID": "PixelData"}}, "PixelData is no attribute"),
        ({"copy": {"PatientID": ["StudyID"]}}, "copy.PatientID must be text"),
        ({"remove": "PixelData"}, "PixelData is no attribute that can be coerced"),
        ({"remove": [5]}, "remove must be text"),
        ({"prefix": {"PatientID": ""}}, "prefix.PatientID must be a text"),
        ({"suffix": {"PatientID": "a\\b"}}, "suffix.PatientID must be a text without backslash"),
        ({"prefix": {"Modality": "Ä"}}, "no characters beyond ASCII"),
        ({"replace": {"PatientID": "x"}}, 'replace.PatientID must be ["pattern", "replacement"]'),
        ({"replace": {"PatientID": ["x"]}}, "replace.PatientID must be"),
        ({"replace": {"PatientID": []}}, "replace.PatientID must be"),
        ({"replace": {"PatientID": ["(", ""]}}, "no regular expression of RE2 (missing ): ()"),
        ({"replace": {"PatientID": ["(?=x)", ""]}}, "no regular expression of RE2"),
        ({"replace": {"PatientID": [r"(a)\1", ""]}}, "no regular expression of RE2"),
        ({"replace": {"PatientID": ["((a{100}){100}){100}", ""]}}, "no regular expression of RE2"),
        ({"replace": {"PatientID": ["a", r"\1"]}}, "has 0 groups"),
        ({"replace": {"PatientID": ["a", r"\g<x>"]}}, "a backslash in a replacement"),
        ({"replace": {"PatientID": ["a" * 513, ""]}}, "longer than 512"),
        ({"map": {"PatientID": "x"}}, "map.PatientID must be"),
        ({"map": {"PatientID": {"a": "b\\c"}}}, "maps one value to one"),
        ({"map": {"StationName": {"a": "S" * 17}}}, "map.StationName"),
        ({"set": {"StationName": "S"}, "last": "yes"}, "last must be true or false"),
        ({"set": {"StationName": "S"}, "required": 1}, "required must be true or false"),
        ({"set": {"StationName": "S"}, "name": 1}, "name must be text"),
        (
            {"set": {"StationName": "S"}, "when": {"StationName": 1}},
            "when.StationName must be a text or a list",
        ),
        ({"set": {"StationName": "S"}, "when": {"PixelData": "*"}}, "PixelData is no attribute"),
        ("set", "a rule is a table"),
    ],
)
def test_a_wrong_rule_is_refused(table: Any, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        coercion_rule(table)


def test_every_key_of_a_rule_is_known() -> None:
    facts = ("door", "calling", "called", "address", "modality", "sop_class", "received_as")
    table: dict[str, Any] = dict.fromkeys(facts, "*")
    table |= {"door": "STOW-RS", "name": "n", "last": True, "required": True}
    table |= {"when": {"Rows": "512"}, "unless": {"StationName": ["", "X*"]}}
    table |= {
        "set": {"StudyID": "1"},
        "default": {"StudyID": "1"},
        "remove": ["StudyID"],
        "copy": {"StudyID": "Rows"},
    }
    table |= {"prefix": {"StudyID": "1"}, "suffix": {"StudyID": "1"}, "map": {"StudyID": {"1": "2"}}}
    table |= {"replace": {"StudyID": [["1", "2"], ["a(b)", "\\1"]]}}
    rule = coercion_rule(table)
    assert (len(rule.actions), rule.last, rule.required) == (8, True, True)
    assert {0x00280010, 0x00081010, 0x00200010, 0x00080005} == rule.tags


@given(
    pattern=st.from_regex(r"\A(\(?[ab.^$]\)?[*+?]?|\[ab\]|a\|b|\(a\|b\)[*+]?){1,5}\Z"),
    value=st.text("abc", max_size=12),
)
def test_patterns_mean_what_they_mean_elsewhere(pattern: str, value: str) -> None:
    """Where Python has the same syntax; empty occurrences next to others are counted in other ways."""
    try:
        expected = re.compile(pattern)
        made = replacing(pattern, "<\\0>")
    except (re.error, ValueError):
        return
    if any(not found[0] for found in expected.finditer(value)):
        return
    assert made.apply(value) == expected.sub(lambda found: f"<{found[0]}>", value)


@pytest.mark.parametrize(
    "pattern", ["(a+)+$", "(a|a)*$", "^(([a-z])+.)+[A-Z]([a-z])+$", "(.*a){15}", "(a*)*b"]
)
def test_no_value_keeps_a_pattern_busy(pattern: str) -> None:
    began = time.monotonic()
    replacing(pattern, "").apply("a" * (LONGEST_VALUE - 1) + "!")
    assert time.monotonic() - began < 10


def test_a_value_beyond_the_bound_stays() -> None:
    value = "a" * (LONGEST_VALUE + 1)
    assert replacing("a", "b").apply(value) == value
    assert replacing("a", "b" * 500).apply("a" * 100) == "a" * 100
