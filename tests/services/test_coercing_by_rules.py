"""Coercion by rules (dimse.md 1.2): what pydicom reads afterwards is what a plain reading of the rules says, everything
else stays, and the former values are kept."""

from __future__ import annotations

import copy
import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import (
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    RLELossless,
)

from archive.bootstrap import building
from archive.bootstrap.building import Archive
from archive.config import load
from archive.dicom.errors import InvalidValue
from archive.dicom.instance import Scope, Source
from archive.services.receipts import COERCED
from coerced_by_rules import SYNTAXES, Rule, kept, modified, store
from held import check
from objects import encoded, mr, new_uid, part10
from suites.sqlite import prepare

Open = Callable[..., Archive]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    """An archive with these rules of coercion, and perhaps other settings."""
    with ExitStack() as stack:

        def begin(*rules: Rule, **others: Any) -> Archive:
            overrides = {"data": str(tmp_path / "data"), "coercion_rules": list(rules), **others}
            built = load(environment={}, overrides=overrides)
            prepare(built)
            archive = building.build(built)
            stack.callback(archive.close)
            return archive

        yield begin


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_each_action(opened: Open, syntax: str) -> None:
    archive = opened(
        {
            "copy": {"OtherPatientIDs": "PatientID", "StudyID": "AccessionNumber"},
            "set": {"InstitutionName": "General", "PatientComments": ""},
            "map": {"StationName": {"OLD": "NEW"}, "Manufacturer": {"ACME*": "Acme", "*": "other"}},
            "replace": {
                "PatientID": ["^0+", ""],
                "PatientName": [["[.]", " "], ["(\\w+)\\^(\\w+)", "\\2^\\1"]],
            },
            "prefix": {"PatientID": "GH-"},
            "suffix": {"AccessionNumber": "-GH"},
            "default": {"BodyPartExamined": "HEAD", "ReferringPhysicianName": "NOBODY"},
            "remove": ["AdditionalPatientHistory"],
        }
    )
    data_set = mr(
        PatientID="00042",
        PatientName="DR.A^B",
        AccessionNumber="A1",
        StudyID="",
        OtherPatientIDs=None,
        StationName="OLD",
        Manufacturer="ACME Inc",
        PatientComments="secret",
        BodyPartExamined="KNEE",
        ReferringPhysicianName="",
        AdditionalPatientHistory="long",
        InstitutionName=None,
    )
    before = copy.deepcopy(data_set)
    receipt = store(archive, data_set, syntax)
    assert receipt.warning == COERCED
    found = kept(archive, data_set)
    expected = {
        "PatientID": "GH-42",
        "OtherPatientIDs": "00042",
        "PatientName": "B^DR A",
        "AccessionNumber": "A1-GH",
        "StudyID": "A1",
        "StationName": "NEW",
        "Manufacturer": "Acme",
        "PatientComments": "",
        "InstitutionName": "General",
        "BodyPartExamined": "KNEE",
        "ReferringPhysicianName": "NOBODY",
    }
    # "(\w+)\^(\w+)" finds "A^B" behind the space.
    expected["PatientName"] = "DR B^A"
    assert {keyword: found[keyword].value for keyword in expected} == expected
    assert "AdditionalPatientHistory" not in found
    former = modified(found)
    assert (former.PatientID, former.AdditionalPatientHistory, former.PatientComments) == (
        "00042",
        "long",
        "secret",
    )
    assert former.InstitutionName in ("", None)
    assert "BodyPartExamined" not in former
    if syntax == ExplicitVRBigEndian:
        before.PixelData = found.PixelData  # in the other byte order
    touched = {*expected, "AdditionalPatientHistory", "OriginalAttributesSequence"}
    assert [e for e in found if e.keyword not in touched] == [e for e in before if e.keyword not in touched]
    assert {f"{tag:08X}" for tag in receipt.offending} == {f"{e.tag:08X}" for e in former}
    assert archive.retrieve.attributes(archive.retrieve.instance(Scope()))["00100020"]["Value"] == ["GH-42"]
    check(archive)


def test_rules_are_for_whom_they_say(opened: Open) -> None:
    archive = opened(
        {"calling": "CT*", "set": {"InstitutionName": "A"}},
        {
            "modality": "MR",
            "when": {"StationName": ["S1", ""]},
            "set": {"InstitutionName": "B"},
            "last": True,
        },
        {"unless": {"PatientID": "X*"}, "suffix": {"InstitutionName": "!"}},
        {"called": "OTHER", "set": {"InstitutionName": "never"}},
    )
    cases = [
        ({"InstitutionName": "I", "StationName": "S1"}, "CT1", "B"),
        ({"InstitutionName": "I", "StationName": None}, "MR1", "B"),
        ({"InstitutionName": "I", "StationName": "S2"}, "CT1", "A!"),
        ({"InstitutionName": "I", "StationName": "S2"}, "MR1", "I!"),
        ({"InstitutionName": "I", "StationName": "S2", "PatientID": "X1"}, "MR1", "I"),
    ]
    for keywords, calling, expected in cases:
        data_set = mr(**keywords)
        store(archive, data_set, calling=calling)
        assert kept(archive, data_set).InstitutionName == expected


def test_a_rule_sees_what_an_earlier_one_has_left(opened: Open) -> None:
    archive = opened(
        {"set": {"StationName": "S"}},
        {"when": {"StationName": "S"}, "copy": {"InstitutionName": "StationName"}},
        {"when": {"InstitutionName": "S"}, "prefix": {"StationName": "X"}},
    )
    data_set = mr(StationName="other")
    store(archive, data_set)
    found = kept(archive, data_set)
    assert (found.StationName, found.InstitutionName) == ("XS", "S")
    assert modified(found).StationName == "other"


def test_nothing_to_do_costs_no_coercion(opened: Open) -> None:
    archive = opened(
        {
            "set": {"InstitutionName": "General"},
            "default": {"StationName": "S"},
            "remove": ["PatientComments"],
        }
    )
    data_set = mr(InstitutionName="General", StationName="X", PatientComments=None)
    assert store(archive, data_set).warning == 0
    instance = archive.retrieve.instance(Scope())
    assert instance.sha256 == hashlib.sha256(encoded(data_set)).hexdigest()


def test_re_sends_in_every_form_are_the_same_object(opened: Open) -> None:
    archive, data_set = opened({"prefix": {"PatientID": "GH-"}}), mr()
    store(archive, data_set)
    again = store(archive, data_set)
    assert (again.already_there, again.warning) == (True, COERCED)
    with archive.ingest.part10(Source("STOW-RS")) as reception:
        reception.write(part10(data_set))
        assert reception.finish().already_there
    assert store(archive, kept(archive, data_set)).already_there


def test_what_comes_back_under_other_rules_is_not_prefixed_twice(opened: Open, tmp_path: Path) -> None:
    archive, data_set = opened({"prefix": {"PatientID": "GH-"}, "suffix": {"AccessionNumber": "+"}}), mr()
    store(archive, data_set)
    copied = kept(archive, data_set)
    copied.SOPInstanceUID = copied.file_meta.MediaStorageSOPInstanceUID = new_uid()
    assert store(archive, copied).warning == 0


@pytest.mark.parametrize(
    ("character_set", "name", "institution"),
    [
        ("ISO_IR 100", "Müller", "Größe"),
        ("ISO_IR 192", "Ł山田", "Ł山田"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎", "山田"),
        ("GB18030", "Wang^XiaoDong=王^小东", "小东"),
        ("ISO_IR 144", "Люкceмбypг", "Люкс"),
    ],
)
@pytest.mark.parametrize("syntax", SYNTAXES[:2])
def test_values_are_written_in_the_character_set_of_the_object(
    opened: Open, character_set: Any, name: str, institution: str, syntax: str
) -> None:
    archive = opened(
        {
            "copy": {"PatientComments": "InstitutionName"},
            "suffix": {"PatientName": "!"},
            "set": {"StationName": "S"},
        }
    )
    data_set = mr(SpecificCharacterSet=character_set, PatientName=name, InstitutionName=institution)
    store(archive, data_set, syntax)
    found = kept(archive, data_set)
    assert str(found.PatientName) == name + "!"
    assert found.PatientComments == institution
    assert str(modified(found).PatientName) == name


def test_what_the_character_set_cannot_say_stays(opened: Open) -> None:
    archive = opened({"set": {"InstitutionName": "山田", "StationName": "S"}})
    data_set = mr(SpecificCharacterSet="ISO_IR 100", InstitutionName="Größe")
    receipt = store(archive, data_set)
    found = kept(archive, data_set)
    assert (found.InstitutionName, found.StationName) == ("Größe", "S")
    assert receipt.offending == (0x00081010,)


def test_what_the_vr_cannot_hold_stays(opened: Open) -> None:
    archive = opened(
        {
            "prefix": {"PatientID": "X" * 10, "StudyDate": "1"},
            "copy": {"Modality": "PatientName", "StudyID": "StudyInstanceUID"},
        }
    )
    data_set = mr(PatientID="Y" * 60, PatientName="lower^case", StudyID="1")
    assert store(archive, data_set).warning == 0
    instance = archive.retrieve.instance(Scope())
    assert instance.sha256 == hashlib.sha256(encoded(data_set)).hexdigest()


@pytest.mark.parametrize(
    "keywords", [{"PatientID": "Y" * 60}, {"PatientID": "1", "SpecificCharacterSet": "ISO_IR 6"}]
)
def test_a_rule_that_is_required_refuses_what_cannot_be_coerced(
    opened: Open, keywords: dict[str, str]
) -> None:
    archive = opened({"prefix": {"PatientID": "Site Łódź " * 1}, "required": True})
    data_set = mr(**keywords)
    with pytest.raises(InvalidValue, match="PatientID cannot be coerced") as refused:
        store(archive, data_set)
    assert refused.value.tag == 0x00100020
    assert archive.retrieve.instances(Scope()) == []
    check(archive)


def test_values_that_are_not_known_for_sure_are_left_alone(opened: Open) -> None:
    """Very long, or of bytes that are no text: nothing is made of what was not read."""
    archive = opened(
        {
            "default": {"PatientComments": "D", "TextValue": "D"},
            "suffix": {"PatientName": "!", "PatientComments": "!"},
            "set": {"StationName": "S"},
        }
    )
    data_set = mr(
        SpecificCharacterSet="ISO_IR 192",
        PatientName="NAME",
        PatientComments="C",
        TextValue="x" * 70_000,
    )
    raw = encoded(data_set).replace(b"PN\x04\0NAME", b"PN\x04\0N\xff\xfeE")
    raw = raw.replace(b"\x10\0\0\x40LT\x02\0C ", b"\x10\0\0\x40UN\0\0\x02\0\0\0C ")
    source = Source("DIMSE", "", "SCANNER", "ARCHIVE")
    with archive.ingest.data_set(
        ExplicitVRLittleEndian, data_set.SOPClassUID, data_set.SOPInstanceUID, source
    ) as reception:
        reception.write(raw)
        receipt = reception.finish()
    # A value of UN is read as the VR that PS3.6 has for it: this one is known.
    assert receipt.offending == (0x00081010, 0x00104000)
    found = kept(archive, data_set)
    assert (found.PatientComments, found.TextValue) == ("C!", "x" * 70_000)
    assert b"N\xff\xfeE" in found.get_item("PatientName").value


def test_the_constants_come_first_and_both_are_kept(opened: Open) -> None:
    archive = opened(
        {"when": {"InstitutionName": "General"}, "suffix": {"InstitutionName": " West"}},
        coercion={"InstitutionName": "General"},
    )
    data_set = mr(InstitutionName="Old")
    receipt = store(archive, data_set)
    found = kept(archive, data_set)
    assert found.InstitutionName == "General West"
    former = [item.ModifiedAttributesSequence[0].InstitutionName for item in found.OriginalAttributesSequence]
    assert former == ["Old", "General"]
    assert receipt.offending == (0x00080080,)
    assert store(archive, data_set).already_there


def test_coerced_and_compressed(opened: Open) -> None:
    archive = opened(
        {"set": {"PatientComments": "c"}},
        compression=[{"transfer_syntax": "RLELossless", "when": {"PatientComments": "c"}}],
    )
    data_set = mr()
    assert store(archive, data_set).warning == COERCED
    found = kept(archive, data_set)
    assert (found.file_meta.TransferSyntaxUID, found.PatientComments) == (RLELossless, "c")
    stored = archive.retrieve.instance(Scope())
    assert stored.received.sha256 == hashlib.sha256(encoded(data_set)).hexdigest()
    again = store(archive, data_set)
    assert (again.already_there, again.warning) == (True, COERCED)
    check(archive)


def test_what_others_have_coerced_is_no_warning_of_ours(opened: Open) -> None:
    archive = opened(compression=[{"transfer_syntax": "RLELossless"}])
    data_set = mr()
    item = Dataset()
    item.ModifyingSystem, item.ReasonForTheAttributeModification = "OTHER", "COERCE"
    item.ModifiedAttributesSequence = [Dataset()]
    data_set.OriginalAttributesSequence = [item]
    assert [store(archive, data_set).warning for _ in range(2)] == [0, 0]
    assert kept(archive, data_set).file_meta.TransferSyntaxUID == RLELossless


def test_a_pattern_cannot_be_kept_busy(opened: Open) -> None:
    """The rule comes from the administrator, the value from whoever sends it."""
    archive = opened(
        {
            "replace": {"PatientComments": [["(a+)+$", "x"], ["(a|a)*b", "y"], ["(.*a){20}$", "z"]]},
            "when": {"PatientComments": "*a" * 20 + "*b"},
        },
        {"replace": {"PatientComments": [["(a+)+$", "x"], ["(a|aa)*b", "y"], ["^(a*)*c", "z"]]}},
    )
    data_set = mr(PatientComments="a" * 10_000 + "c")
    began = time.monotonic()
    store(archive, data_set)
    assert time.monotonic() - began < 30
    assert kept(archive, data_set).PatientComments == "z"


def test_a_replacement_that_grows_stays_within_bounds(opened: Open) -> None:
    archive = opened({"replace": {"PatientComments": ["a", "a" * 500]}})
    data_set = mr(PatientComments="a" * 5_000)
    assert store(archive, data_set).warning == 0
