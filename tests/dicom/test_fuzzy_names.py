"""Which names a fuzzy key finds, in many scripts and in each component group (Q7, Q13)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archive.dicom.matching.fuzzy_names import MAXIMUM_LETTERS, MAXIMUM_WORDS, distance, matches, words
from naive_edits import edits

JAPANESE = "Yamada^Tarou=山田^太郎=やまだ^たろう"
FOUND = [
    ("Müller^Jürgen", "mueller jurgen"),
    ("Schmidt^Anna", "Schmitd"),
    ("Smith^John", "jon smyth"),
    ("Smith^John", "*smith john*"),
    ("Smith^John", "sm?th"),
    ("van der Berg^Jan", "vanderberg"),
    ("O'Brien^Pat", "obrien"),
    ("Łukasz^Ø", "lukasz o"),
    (JAPANESE, "山田太郎"),
    (JAPANESE, "ヤマダ"),
    (JAPANESE, "==ﾔﾏﾀﾞ"),
    (JAPANESE, "yamada=山田"),
    ("Kim^Younghee=金^英喜=김^영희", "김영희"),
    ("Kim^=金^=강감찬", "강감천"),
    ("محمّد^أحمد", "محمد احمد"),
    ("משה^כהן", "מֹשֶׁה"),
    ("Иванов^Сёмен", "семен иванов"),
    ("Θεοδώρου^Α", "θεοδωρου"),
    ("शर्मा^राम", "शर्मा"),
    ("สมชาย^ใจดี", "สมชาย"),
    ("Nguyễn^Văn", "nguyen"),
]
MISSED = [
    ("Smith^John", "jones"),
    ("Li^Wei", "wu"),
    ("Smith^John=", "=smith"),
    (JAPANESE, "山本"),
    ("Patient12", "patient13"),
    ("Smith^John", "smith anna"),
    ("Smith^John", "***"),
    ("", "smith"),
    ("Smith", ""),
]


@pytest.mark.parametrize(("name", "key"), FOUND)
def test_found(name: str, key: str) -> None:
    assert matches([name], key)


@pytest.mark.parametrize(("name", "key"), MISSED)
def test_missed(name: str, key: str) -> None:
    assert not matches([name], key)


def test_all_the_words_of_one_name() -> None:
    assert not matches(["Smith^Anna", "Jones^John"], "smith john")


@given(st.text("abc", max_size=6), st.text("abc", max_size=6))
def test_distance(one: str, other: str) -> None:
    """A swap of neighbours is one edit; it stops counting past the most."""
    for most in (0, 1, 2):
        assert distance(one, other, most) == min(edits(one, other), most + 1)


@given(st.text(max_size=300))
def test_words_of_any_text_are_few_and_short(text: str) -> None:
    found = words(text)
    assert len(found) <= MAXIMUM_WORDS
    assert all(0 < len(word.text) <= MAXIMUM_LETTERS for word in found)


@given(st.text(max_size=40), st.text(max_size=40))
def test_any_key_is_answered(name: str, key: str) -> None:
    assert matches([name], key) in (True, False)


def test_a_key_is_never_shortened() -> None:
    """Q7: what is left of it would find others as well."""
    name = "anna maria " + "x" * 70
    assert matches([name], "anna maria")
    assert not matches([name], "anna " + "x" * 69 + "y")
    long = "abcdefghijklmnopqrstuvwxyz"
    begun = [long[:letters] for letters in range(1, 17)]
    assert matches([long], " ".join(begun))
    assert not matches([long], " ".join([*begun, "zzz"]))
