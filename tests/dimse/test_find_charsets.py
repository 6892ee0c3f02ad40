"""Names of many countries: found by C-FIND and by QIDO-RS with the same question, answered in each character set that
can hold them (dimse.md 1.3 rows; PS3.3 C.12.1.1.2, PS3.5 6.1.2.5).

The names are those of pydicom's character set files, and of a few countries that it has none of.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from urllib.parse import urlencode

import orjson
import pydicom
import pytest
from pydicom.data import get_charset_files
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom.dimse_primitives import C_FIND

from archive.dicom.charsets import decoder, encode
from archive.network.association import Association
from archive.network.commands import request_of
from archive.network.requestor import Proposal
from archive.web import qido
from archive.web.http.exchange import Asked
from door import Door, context_id, keep, open_door, response, store
from objects import encoded, secondary_capture

STUDY_ROOT = "1.2.840.10008.5.1.4.1.2.2.1"
CharacterSet = tuple[str, ...]

SINGLE_BYTE = {
    "100": "latin_1", "101": "iso8859_2", "109": "iso8859_3", "110": "iso8859_4", "144": "iso8859_5",
    "127": "iso8859_6", "126": "iso8859_7", "138": "iso8859_8", "148": "iso8859_9", "203": "iso8859_15",
    "166": "tis_620",
}  # fmt: skip
SETS: dict[CharacterSet, tuple[str, ...]] = {
    (): ("ascii",),
    ("ISO_IR 6",): ("ascii",),
    ("ISO_IR 192",): ("utf_8",),
    ("GB18030",): ("gb18030",),
    ("GBK",): ("gbk",),
    ("ISO_IR 13",): ("katakana",),
    ("", "ISO 2022 IR 13"): ("katakana",),
    ("", "ISO 2022 IR 87"): ("ascii", "iso2022_jp"),
    ("ISO 2022 IR 6", "ISO 2022 IR 87"): ("ascii", "iso2022_jp"),
    ("ISO 2022 IR 13", "ISO 2022 IR 87"): ("katakana", "iso2022_jp"),
    ("", "ISO 2022 IR 87", "ISO 2022 IR 159"): ("ascii", "iso2022_jp", "jis_x_0212"),
    ("", "ISO 2022 IR 149"): ("ascii", "euc_kr"),
    ("", "ISO 2022 IR 58"): ("ascii", "gb2312"),
    ("ISO 2022 IR 100", "ISO 2022 IR 144"): ("latin_1", "iso8859_5"),
    ("ISO 2022 IR 126", "ISO 2022 IR 58", "ISO 2022 IR 149"): ("iso8859_7", "gb2312", "euc_kr"),
    **{(f"ISO_IR {number}",): (codec,) for number, codec in SINGLE_BYTE.items()},
    **{("", f"ISO 2022 IR {number}"): ("ascii", codec) for number, codec in SINGLE_BYTE.items()},
}
"""Every character set that PS3.3 knows, alone or with code extensions, and the codecs that tell what it can say."""

OTHERS = [
    (("ISO_IR 166",), "สมชาย^ใจดี", "สมชาย^ใจดี".encode("tis_620")),
    (("GBK",), "Wang^XiaoDong=王^小東", "Wang^XiaoDong=王^小東".encode("gbk")),
    (
        ("", "ISO 2022 IR 58"),
        "Zhang^XiaoDong=张^小东",
        b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab",
    ),
    (("ISO_IR 101",), "Dvořák^Žofie", "Dvořák^Žofie".encode("iso8859_2")),
    (("ISO_IR 148",), "Öztürk^Şebnem", "Öztürk^Şebnem".encode("iso8859_9")),
    (("ISO_IR 203",), "Œuvrard^Zoé", "Œuvrard^Zoé".encode("iso8859_15")),
]
FILES = [
    path for path in sorted(get_charset_files("*.dcm")) if "PatientName" in pydicom.dcmread(path)
]  # without those that are sequences only


@dataclass(frozen=True)
class Stored:
    """A study by its UID, and the name of its patient."""

    uid: str
    name: str


CASES = [*(Path(path).name for path in FILES), *(name for _, name, _ in OTHERS)]


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Door, dict[str, Stored]]]:
    """Each name in an archive of its own study, stored as its bytes are."""
    with open_door(tmp_path_factory.mktemp("names") / "data") as door:
        found = {}
        for number, path in enumerate(FILES):
            made = pydicom.dcmread(path)
            name = str(made.PatientName)
            made.StudyInstanceUID, made.SeriesInstanceUID = f"1.2.3.{number}", f"1.2.3.{number}.1"
            made.SOPInstanceUID = f"1.2.3.{number}.1.1"
            if "PixelData" not in made:  # taken out of two of them, which are refused as cut off for that
                del made[0x00280000:0x00290000]
            keep(door, made, transfer_syntax=made.file_meta.TransferSyntaxUID)
            found[Path(path).name] = Stored(made.StudyInstanceUID, name)
        for charset, name, raw in OTHERS:
            other = secondary_capture(SpecificCharacterSet=None, PatientName=None)
            _keep_named(door, other, charset, raw)
            found[name] = Stored(other.StudyInstanceUID, name)
        yield door, found


def _keep_named(door: Door, made: Dataset, charset: CharacterSet, name: bytes) -> None:
    """Stored with these bytes for a name, in a set that pydicom need not know."""
    whole = encoded(made)
    place = whole.index(b"\x10\0\x20\0LO")
    declared = _element(0x00080005, b"CS", "\\".join(charset).encode())
    data = declared + whole[:place] + _element(0x00100010, b"PN", name) + whole[place:]
    with door.open(Proposal(made.SOPClassUID, (ExplicitVRLittleEndian,))) as association:
        assert store(association, data, made.SOPClassUID, made.SOPInstanceUID).Status == 0


def _holds(codecs: tuple[str, ...], text: str) -> bool:
    """Whether each character can be said in one of these; a set in G1 has the characters above ASCII only."""
    return all(character in "^=" or any(_says(codec, character) for codec in codecs) for character in text)


def _says(codec: str, character: str) -> bool:
    if character.isascii():
        return True
    if codec == "katakana":
        return "\uff61" <= character <= "\uff9f"
    if codec == "jis_x_0212":
        return _encodes("euc_jp", character) and character.encode("euc_jp").startswith(b"\x8f")
    if codec == "iso2022_jp":
        return _encodes("euc_jp", character) and character.encode("euc_jp")[0] >= 0xA1
    if codec in ("gb2312", "euc_kr"):
        return _encodes(codec, character) and len(character.encode(codec)) == 2
    return _encodes(codec, character)


def _encodes(codec: str, character: str) -> bool:
    try:
        character.encode(codec)
    except UnicodeEncodeError:
        return False
    return True


def _element(tag: int, vr: bytes, raw: bytes) -> bytes:
    padded = raw + (b"\0" if vr == b"UI" else b" ") * (len(raw) % 2)
    return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr, len(padded)) + padded


def _asking(charset: CharacterSet, name: bytes, study: str) -> bytes:
    """An Identifier as an SCU with this character set sends it."""
    declared = _element(0x00080005, b"CS", "\\".join(charset).encode()) if charset else b""
    level, keys = _element(0x00080052, b"CS", b"STUDY"), _element(0x00100010, b"PN", name)
    return declared + level + keys + _element(0x0020000D, b"UI", study.encode())


def _answers(association: Association, identifier: bytes) -> list[bytes]:
    request = request_of(C_FIND, MessageID=1, AffectedSOPClassUID=STUDY_ROOT, Priority=0)
    association.send(context_id(association, STUDY_ROOT), request, [identifier])
    found = []
    while (message := response(association)).command.Status == 0xFF00:
        found.append(b"".join(message.data or ()))
    assert message.command.Status == 0
    return found


def _elements(answer: bytes) -> dict[int, bytes]:
    """Of an answer in explicit VR, all of which have a short length."""
    found, at = {}, 0
    while at < len(answer):
        group, number, _, length = struct.unpack_from("<HH2sH", answer, at)
        found[group << 16 | number] = answer[at + 8 : at + 8 + length]
        at += 8 + length
    return found


def _said(answer: bytes) -> tuple[CharacterSet, bytes]:
    """The character set and the bytes of the name."""
    found = _elements(answer)
    declared = found.get(0x00080005, b"").decode().strip(" ")
    return tuple(declared.split("\\")) if declared else (), found[0x00100010]


_KNOWN_TO_PYDICOM = {name for name in pydicom.charset.python_encoding if name not in ("ISO 2022 IR 58",)}


@pytest.mark.parametrize("case", CASES)
def test_a_name_is_answered_in_each_set_that_holds_it(
    names: tuple[Door, dict[str, Stored]], case: str
) -> None:
    """And in UTF-8 where the asked set does not; never with another character in a place."""
    door, stored = names
    wanted = stored[case]
    with door.open(Proposal(STUDY_ROOT, (ExplicitVRLittleEndian,))) as association:
        for charset, codecs in SETS.items():
            holds = _holds(codecs, wanted.name)
            key = encode(wanted.name, "PN", charset) if holds else b""
            (answer,) = _answers(association, _asking(charset, key, wanted.uid))
            declared, raw = _said(answer)
            assert declared == (charset if holds else ("ISO_IR 192",)), charset
            assert decoder(declared)(raw, "PN").rstrip(" ") == wanted.name, charset
            if set(declared) <= _KNOWN_TO_PYDICOM:
                assert str(read_dataset(BytesIO(answer), False, True).PatientName) == wanted.name, charset


@pytest.mark.parametrize("case", CASES)
def test_a_name_is_found_by_both_doors(names: tuple[Door, dict[str, Stored]], case: str) -> None:
    """The whole name, one of its component groups, and a pattern; in every set that can say it."""
    door, stored = names
    name = stored[case].name
    same = {one.uid for one in stored.values() if one.name == name}
    keys = dict.fromkeys((name, name.split("=")[-1], name[0] + "*", "*" + name[-1], "?" + name[1:]))
    with door.open(Proposal(STUDY_ROOT, (ExplicitVRLittleEndian,))) as association:
        for key in keys:
            expected = _uids_by_qido(door, key)
            assert same <= set(expected)
            for charset in _sets_for(key):
                answers = _answers(association, _asking(charset, encode(key, "PN", charset), ""))
                assert _studies(answers) == expected, (charset, key)


def _sets_for(key: str) -> list[CharacterSet]:
    return [charset for charset, codecs in SETS.items() if _holds(codecs, key)]


def _uids(door: Door, charset: CharacterSet, key: str) -> list[str]:
    with door.open(Proposal(STUDY_ROOT, (ExplicitVRLittleEndian,))) as association:
        answers = _answers(association, _asking(charset, encode(key, "PN", charset), ""))
    return _studies(answers)


def _studies(answers: list[bytes]) -> list[str]:
    return [_elements(one)[0x0020000D].decode().rstrip("\0") for one in answers]


def _uids_by_qido(door: Door, key: str) -> list[str]:
    headers = {"accept": "application/dicom+json"}
    asked = Asked({}, urlencode({"PatientName": key}), headers, "http://localhost/dicom-web")
    answer = qido.studies(door.archive, asked)
    found = [] if answer.status == 204 else orjson.loads(b"".join(answer.body))
    return [one["0020000D"]["Value"][0] for one in found]


@pytest.mark.parametrize(
    ("written", "asked"),
    [
        ("ﾔﾏﾀﾞ^ﾀﾛｳ", "ヤマダ^タロウ"),
        ("Buc^Jérôme", "BUC^JEROME"),
        ("Yamada^Tarou", "Ｙａｍａｄａ^Ｔａｒｏｕ"),
        ("Διονυσιος", "ΔΙΟΝΥΣΙΟΣ"),
    ],
)
def test_case_accents_and_width_do_not_count(
    names: tuple[Door, dict[str, Stored]], written: str, asked: str
) -> None:
    door, stored = names
    same = {one.uid for one in stored.values() if one.name.split("=")[0] == written}
    assert same
    assert same <= set(_uids(door, ("ISO_IR 192",), asked))


def test_component_groups_are_matched_each_on_its_own(names: tuple[Door, dict[str, Stored]]) -> None:
    """PS3.4 C.2.2.2.1.1: `=` tells which group a key is about."""
    door, stored = names
    uids = partial(_uids, door, ("ISO_IR 192",))
    yamada = stored["chrH31.dcm"].uid
    assert yamada in uids("=山田^太郎")
    assert yamada in uids("Yamada*==やまだ*")
    assert uids("山田^太郎=") == []
    assert yamada not in uids("Yamada^Tarou=洪^吉洞")


def test_the_set_of_the_ae_title_for_a_request_that_names_none(tmp_path: Path) -> None:
    """`rules.character_set`: a workstation that says nothing, and understands one set only."""
    from archive.security.rules import Rules

    with open_door(tmp_path / "data") as door:
        keep(door, secondary_capture(SpecificCharacterSet="ISO_IR 192", PatientName="Yamada=山田"))
        keep(door, secondary_capture(SpecificCharacterSet="ISO_IR 192", PatientName="Müller"))
        charset = ("ISO 2022 IR 6", "ISO 2022 IR 87")
        rules = Rules(character_set="\\".join(charset))
        door.archive.ae_titles.add("WORKSTATION", "127.0.0.1", 104, rules)
        with door.open(Proposal(STUDY_ROOT, (ExplicitVRLittleEndian,))) as association:
            said = dict(_said(one) for one in _answers(association, _asking((), b"", "")))
            assert said[charset].startswith(b"Yamada=\x1b$B;3ED")
            assert said[("ISO_IR 192",)].decode() == "Müller "
            asked = [_said(one) for one in _answers(association, _asking(("ISO_IR 100",), b"M*", ""))]
            assert asked == [(("ISO_IR 100",), "Müller".encode("latin_1"))]
