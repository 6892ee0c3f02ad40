"""Character sets: what the standard shows, what pydicom's files hold, what devices get wrong."""

from __future__ import annotations

import contextlib
import time
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread

from archive.dicom.charsets import decoder, encode, fold
from dicom_files import every_file, identify

YAMADA = "Yamada^Tarou=山田^太郎=やまだ^たろう"
HONG = "Hong^Gildong=洪^吉洞=홍^길동"


@pytest.mark.parametrize(
    ("names", "raw", "text"),
    [
        # PS3.5 annexes H, I, J and K
        (
            ("", "ISO 2022 IR 87"),
            b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
            YAMADA,
        ),
        (
            ("ISO 2022 IR 13", "ISO 2022 IR 87"),
            b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J=\x1b$B$d$^$@\x1b(J^\x1b$B$?$m$&\x1b(J",
            "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう",
        ),
        (
            ("", "ISO 2022 IR 149"),
            b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf",
            HONG,
        ),
        (
            ("", "ISO 2022 IR 58"),
            b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab=",
            "Zhang^XiaoDong=张^小东=",
        ),
        (("ISO_IR 192",), "Wang^XiaoDong=王^小东".encode(), "Wang^XiaoDong=王^小东"),
        (("GB18030",), "Wang^XiaoDong=王^小东".encode("gb18030"), "Wang^XiaoDong=王^小东"),
        (("ISO_IR 100",), b"Buc^J\xe9r\xf4me", "Buc^Jérôme"),
        (("ISO_IR 166",), "สมชาย".encode("tis_620"), "สมชาย"),
        # as devices write it
        (("ISO IR 192",), "王".encode(), "王"),
        (("ISO_IR_100",), b"J\xe9r\xf4me", "Jérôme"),
        (("ISO 2022 IR 6", "GBK"), "王^小东".encode("gbk"), "王^小东"),
        (("ISO 2022 IR 149",), "홍^길동".encode("euc_kr"), "홍^길동"),
        ((), "Jérôme".encode(), "Jérôme"),
        ((), b"J\xe9r\xf4me", "Jérôme"),
        (("ISO_IR 100",), b"\x1b$)C\xc8\xab", "홍"),
        (("NO SUCH SET",), b"J\xe9", "Jé"),
        # damage
        (("ISO_IR 192",), b"A\xff\xfeB", "A\ufffdFF\ufffdFEB"),
        (("", "ISO 2022 IR 87"), b"\x1b$B;", "\ufffd3B"),
        (("", "ISO 2022 IR 87"), b"\x1b$B;\xb3;3", "\ufffd3B\ufffdB3山"),
        (("", "ISO 2022 IR 87"), b"\x1b$B\x7a\x7a", "\ufffd7A\ufffd7A"),
        (("", "ISO 2022 IR 87"), b"A\x1bZB\x1b", "A\ufffd1B\ufffd5AB\ufffd1B"),
    ],
)
def test_decoding(names: tuple[str, ...], raw: bytes, text: str) -> None:
    assert decoder(names)(raw, "PN") == text


def test_a_delimiter_brings_the_first_set_back() -> None:
    decode = decoder(("ISO 2022 IR 100", "ISO 2022 IR 144"))
    assert decode(b"\x1b-L\xb8\xd2^\xe9", "PN") == "Ив^é"
    assert decode(b"\x1b-L\xb8\xd2^\xb8", "LO") == "Ив^И"
    assert decode(b"\x1b-L\xb8\xd2\r\n\xe9", "LT") == "Ив\r\né"


def test_half_a_character_is_no_delimiter() -> None:
    half = "表".encode("euc_jp")
    seven_bits = bytes(byte & 0x7F for byte in half)
    assert decoder(("", "ISO 2022 IR 87"))(b"\x1b$B" + seven_bits + b"\x1b(B^A", "PN") == "表^A"


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (("", "ISO 2022 IR 87"), YAMADA),
        (("ISO 2022 IR 13", "ISO 2022 IR 87"), "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう"),
        (("", "ISO 2022 IR 149"), HONG),
        (("", "ISO 2022 IR 58"), "Zhang^XiaoDong=张^小东"),
        (("", "ISO 2022 IR 87", "ISO 2022 IR 159"), "山^丂"),
        (("ISO 2022 IR 100", "ISO 2022 IR 144"), "Jérôme Иван^é"),
        (("ISO_IR 192",), "😀^王"),
        (("GB18030",), "王^小东"),
        (("ISO_IR 101",), "Řehoř"),
        ((), "plain"),
    ],
)
def test_what_is_encoded_is_decoded_again(names: tuple[str, ...], text: str) -> None:
    raw = encode(text, "PN", names)
    assert decoder(names)(raw, "PN") == text


@pytest.mark.parametrize(
    ("names", "text"),
    [((), "é"), (("ISO_IR 100",), "王"), (("", "ISO 2022 IR 87"), "é"), (("", "ISO 2022 IR 87"), "ﾔ")],
)
def test_what_a_set_cannot_say_is_an_error(names: tuple[str, ...], text: str) -> None:
    with pytest.raises(UnicodeEncodeError):
        encode(text, "PN", names)


def test_encoding_gives_the_bytes_of_the_standard() -> None:
    raw = b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B"
    assert encode("Yamada^Tarou=山田^太郎", "PN", ("", "ISO 2022 IR 87")) == raw


@pytest.mark.parametrize(
    "path",
    [path for path in every_file() if path.name.startswith("chr") and "SQ" not in path.name],
    ids=identify,
)
def test_the_names_in_pydicoms_files(path) -> None:  # type: ignore[no-untyped-def]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data_set = dcmread(path)
        raw = data_set.get_item("PatientName").value.rstrip(b" \0")
        names = data_set.get("SpecificCharacterSet", "")
        names = (names,) if isinstance(names, str) else tuple(names or ())
        assert decoder(names)(raw, "PN").rstrip("=") == str(data_set.PatientName).rstrip("=")


@given(
    raw=st.binary(max_size=60)
    | st.lists(st.sampled_from([b"\x1b$B", b"\x1b$)A", b"\x1b-L", b"^", b";3", b"\xd5\xc5"])).map(b"".join),
    names=st.sampled_from(
        [(), ("ISO_IR 192",), ("", "ISO 2022 IR 87"), ("", "ISO 2022 IR 58"), ("GB18030",), ("ISO_IR 13",)]
    ),
    vr=st.sampled_from(["PN", "LO", "LT"]),
)
def test_decoding_never_fails_and_gives_unicode(raw: bytes, names: tuple[str, ...], vr: str) -> None:
    """Reliability: O8."""
    decoder(names)(raw, vr).encode("utf-8")


@given(
    pair=st.tuples(*[st.binary(max_size=8)] * 2),
    names=st.sampled_from([("ISO_IR 192",), ("GB18030",), ("ISO_IR 100",), ("ISO_IR 126",), ("ISO_IR 166",)]),
)
def test_different_bytes_stay_different_texts(pair: tuple[bytes, bytes], names: tuple[str, ...]) -> None:
    decode = decoder(names)
    if pair[0] != pair[1] and b"\x1b" not in b"".join(pair):
        assert decode(pair[0], "LO") != decode(pair[1], "LO")


@pytest.mark.parametrize("names", [("ISO_IR 192",), ("GB18030",), ("", "ISO 2022 IR 87"), ("ISO_IR 126",)])
def test_what_was_answered_finds_what_was_broken(names: tuple[str, ...]) -> None:
    broken = decoder(names)(b"M\x1b$B\xff\xae~~ller\xff", "PN")
    assert "\ufffd" in broken
    asked = decoder(("ISO_IR 192",))(broken.encode(), "PN")
    assert fold(asked) == fold(broken)


@pytest.mark.parametrize(
    "name",
    [
        "ISO_IR " + "1" * 5000,
        "ISO" + "_" * 50_000 + "x",
        "ISO 2022 IR \u0662",
        "\\".join(["ISO_IR 192"] * 99),
    ],
)
def test_names_that_are_too_long_are_no_names(name: str) -> None:
    began = time.process_time()
    values = tuple(name.split("\\"))
    decoder(values)(b"M\xfcller", "LO")
    with contextlib.suppress(UnicodeEncodeError):
        encode("Müller", "LO", values)
    assert time.process_time() - began < 1


@given(text=st.text(max_size=30))
def test_encoding_gives_the_text_back_or_fails(text: str) -> None:
    for names in (("", "ISO 2022 IR 87"), ("ISO 2022 IR 100", "ISO 2022 IR 144"), ("", "ISO 2022 IR 149")):
        try:
            raw = encode(text, "LO", names)
        except UnicodeEncodeError:
            continue
        if "\x1b" not in text:
            assert decoder(names)(raw, "LO") == text


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Müller", "MULLER"),
        ("Straße", "STRASSE"),
        ("Jérôme", "jerome"),
        ("ＡＢＣ", "abc"),
        ("ﾔﾏﾀﾞ", "ヤマダ"),
        ("ﬁn", "FIN"),
        ("Ё", "е"),
        ("A\x1bB", "ab"),
        ("e\u0301", "é"),
    ],
)
def test_folding_makes_these_equal(one: str, other: str) -> None:
    assert fold(one) == fold(other)


@pytest.mark.parametrize(("one", "other"), [("が", "か"), ("홍", "호"), ("a", "b"), ("^", "="), ("*", "?")])
def test_folding_keeps_these_apart(one: str, other: str) -> None:
    assert fold(one) != fold(other)


@given(text=st.text(max_size=30))
def test_folding_twice_changes_nothing_more(text: str) -> None:
    assert fold(fold(text)) == fold(text)
