"""`archive import` of what becomes a patient's of ours (dimse.md 1.6 IRWF.b): nobody else's, and nothing forgotten."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path

import pytest
import typer
from pydicom import Dataset, dcmread
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian
from typer.testing import CliRunner

from archive.bootstrap.building import Archive
from archive.cli.commands import app
from archive.cli.import_files import _imported
from archive.cli.importing import Fate, Report, exit_code, run
from archive.cli.reconcile import Wishes, agree, values
from archive.cli.sources import gather
from archive.dicom.errors import ConfigurationError, InvalidEntry
from archive.dicom.instance import Level, Scope
from archive.dicom.query import Query
from archive.dicom.writing.coercion import coerced
from archive.services.coercing import Coercions
from archive.services.reconciling import Choice, Reconciling, Said, reconciled
from archive_here import fill
from objects import ct, mr, part10, series

THEIRS = {"PatientID": "T-9", "PatientName": "Roe^Rita", "PatientBirthDate": "19700131", "PatientSex": "F"}
OURS = {"PatientID": "H-1", "IssuerOfPatientID": "HOSPITAL", "PatientName": "Roe^Margarita"}


def theirs(**keywords: object) -> list[Dataset]:
    """A study of another hospital."""
    made = series(mr, 2, **THEIRS, IssuerOfPatientID="CLINIC", **keywords)
    for one in made:
        qualifier = Dataset()
        qualifier.UniversalEntityID, qualifier.UniversalEntityIDType = "1.2.3", "ISO"
        one.IssuerOfPatientIDQualifiersSequence = [qualifier]
    return made


def on_medium(folder: Path, several: Sequence[Dataset], syntax: str = ImplicitVRLittleEndian) -> Path:
    """Their files."""
    folder.mkdir(exist_ok=True)
    for number, one in enumerate(several, start=len(list(folder.iterdir()))):
        (folder / f"IM{number}").write_bytes(part10(one, syntax))
    return folder


def brought(archive: Archive, folder: Path, wishes: Wishes) -> Report:
    """As `archive import --yes` does."""
    return _imported([folder], wishes, archive.settings, yes=True)


def asked(options: dict[str, str], *others: str, **more: object) -> Wishes:
    return Wishes(values(options, others), **more)  # type: ignore[arg-type]


def fates(report: Report) -> dict[Fate, int]:
    return dict(Counter(result.fate for result in report.results))


def stored(archive: Archive) -> list[Dataset]:
    """All that is there, read by pydicom."""
    found = []
    for one in archive.retrieve.instances(Scope()):
        with archive.retrieve.open(one) as blob:
            found.append(dcmread(BytesIO(b"".join(blob.pieces(0, one.blob_length)))))
    return found


def patients(archive: Archive) -> list[tuple[str, str]]:
    """Those that a search finds, by ID and name."""
    found = archive.search.find(Query(Level.PATIENT)).matches
    return [(match["00100020"]["Value"][0], match["00100010"]["Value"][0]["Alphabetic"]) for match in found]


@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]
)
def test_what_becomes_of_it(archive: Archive, tmp_path: Path, syntax: str) -> None:
    """PS3.3 C.12.1.1.9: the former values, from where, why; the issuer of the former ID does not stay with ours."""
    several = theirs()
    wishes = asked(OURS | {"AccessionNumber": "A77"}, source="St. Elsewhere")
    report = brought(archive, on_medium(tmp_path / "cd", several, syntax), wishes)
    assert fates(report) == {Fate.STORED: 2}
    assert patients(archive) == [("H-1", "Roe^Margarita")]
    before = [dcmread(path) for path in (tmp_path / "cd").iterdir()]
    for one in stored(archive):
        assert (one.PatientID, one.IssuerOfPatientID, str(one.PatientName)) == tuple(OURS.values())
        assert (one.AccessionNumber, one.PatientBirthDate) == ("A77", "19700131")
        assert not one.get("IssuerOfPatientIDQualifiersSequence")
        (item,) = one.OriginalAttributesSequence
        former = item.ModifiedAttributesSequence[0]
        assert (former.PatientID, former.IssuerOfPatientID, str(former.PatientName)) == (
            "T-9",
            "CLINIC",
            "Roe^Rita",
        )
        assert former.IssuerOfPatientIDQualifiersSequence[0].UniversalEntityID == "1.2.3"
        assert (item.SourceOfPreviousValues, item.ReasonForTheAttributeModification) == (
            "St. Elsewhere",
            "COERCE",
        )
        original = next(each for each in before if each.SOPInstanceUID == one.SOPInstanceUID)
        assert one.PixelData == original.PixelData
    assert fates(brought(archive, tmp_path / "cd", wishes)) == {Fate.ALREADY_THERE: 2}


def test_dciodvfy_finds_nothing_new(archive: Archive, tmp_path: Path) -> None:
    (image,) = theirs()[:1]
    brought(archive, on_medium(tmp_path / "cd", [image]), asked(OURS, source="St. Elsewhere"))
    (tmp_path / "after").write_bytes(part10(stored(archive)[0]))

    def errors(path: Path) -> set[str]:
        try:
            done = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
        except FileNotFoundError:
            pytest.skip("dciodvfy is not installed (Debian package dicom3tools)")
        return {line for line in (done.stdout + done.stderr).splitlines() if line.startswith("Error")}

    assert errors(tmp_path / "after") <= errors(tmp_path / "cd" / "IM0")


def test_names_that_their_character_set_cannot_say(archive: Archive, tmp_path: Path) -> None:
    """An object in ISO_IR 100 gets a further set; nothing else of it is touched."""
    folder = on_medium(tmp_path / "cd", theirs(SpecificCharacterSet="ISO_IR 100", StudyDescription="Schädel"))
    report = brought(archive, folder, asked(OURS | {"PatientName": "Ямада^Таро"}))
    assert fates(report) == {Fate.STORED: 2}
    for one in stored(archive):
        assert one.StudyDescription == "Schädel"
        assert str(one.PatientName) == "Ямада^Таро"


def test_the_archive_knows_its_patient(archive: Archive, tmp_path: Path) -> None:
    """IRWF: with the ID come the demographics that the archive has, and the issuer."""
    fill(archive, ct(**OURS, PatientBirthDate="19700131", PatientSex="F"))
    report = brought(archive, on_medium(tmp_path / "cd", theirs()), asked({"PatientID": "H-1"}))
    assert fates(report) == {Fate.STORED: 2}
    assert patients(archive) == [("H-1", "Roe^Margarita")]
    assert {one.IssuerOfPatientID for one in stored(archive)} == {"HOSPITAL"}


def test_born_on_another_day(archive: Archive, tmp_path: Path) -> None:
    """A slip in the ID: not theirs, unless somebody says which day is right."""
    fill(archive, ct(**OURS, PatientBirthDate="19330303"))
    folder = on_medium(tmp_path / "cd", theirs())
    with pytest.raises(ConfigurationError, match=r"born on 19700131, .* on 19330303: look at the ID again"):
        brought(archive, folder, asked({"PatientID": "H-1"}))
    assert len(stored(archive)) == 1
    wishes = asked({"PatientID": "H-1", "PatientBirthDate": "19330303"})
    assert fates(brought(archive, folder, wishes)) == {Fate.STORED: 2}


def test_an_id_that_two_patients_of_ours_have(archive: Archive, tmp_path: Path) -> None:
    fill(archive, *(ct(PatientID="H-1", IssuerOfPatientID=issuer) for issuer in ("NORTH", "SOUTH")))
    folder = on_medium(tmp_path / "cd", theirs())
    with pytest.raises(
        ConfigurationError, match=r"2 patients of this ID: say which with --issuer: 'NORTH', 'SOUTH'"
    ):
        brought(archive, folder, asked({"PatientID": "H-1"}))


def test_several_patients_on_a_medium_never_become_one(archive: Archive, tmp_path: Path) -> None:
    """Nothing is stored until one is chosen; one who is written in two ways is one when somebody says so."""
    folder = on_medium(tmp_path / "cd", [*theirs(), mr(PatientID="X", PatientName="Poe^Paul")])
    with pytest.raises(ConfigurationError, match=r"2 patients: Roe\^Rita, T-9, .*; Poe\^Paul, X"):
        brought(archive, folder, asked(OURS))
    assert stored(archive) == []
    report = brought(archive, folder, asked(OURS, choice=Choice(patient_id="T-9")))
    assert fates(report) == {Fate.STORED: 2, Fate.LEFT_OUT: 1}
    assert exit_code(report) == 0
    same = OURS | {"PatientBirthDate": "19700131"}
    report = brought(archive, folder, asked(same, same_patient=True))
    assert fates(report) == {Fate.STORED: 1, Fate.ALREADY_THERE: 2}
    assert {one.PatientID for one in stored(archive)} == {"H-1"}


def test_names_that_differ_in_form_only_are_one_patient(archive: Archive, tmp_path: Path) -> None:
    one, other = theirs()
    other.PatientName = "ROE^RITA^^"
    assert fates(brought(archive, on_medium(tmp_path / "cd", [one, other]), asked(OURS))) == {Fate.STORED: 2}


def test_an_object_that_changes_hands_in_between(archive: Archive, tmp_path: Path) -> None:
    """Whatever was found before: who is not agreed to is refused when the object is read whole."""
    agreed = Said("T-9", "CLINIC", "Roe^Rita", "19700131")
    ingest = reconciled(archive.ingest, Reconciling(OURS, Choice(), [agreed], archive.ingest.coercions))
    folder = on_medium(tmp_path / "cd", [*theirs(), mr(PatientID="X")])
    with ExitStack() as opened:
        report = run(ingest, gather([folder], opened))
    assert fates(report) == {Fate.STORED: 2, Fate.REFUSED: 1}, [result.reason for result in report.results]
    (refused,) = (result for result in report.results if result.fate is Fate.REFUSED)
    assert "of another patient than the others" in refused.reason
    assert {one.PatientID for one in stored(archive)} == {"H-1"}


def test_an_order_is_of_one_study(archive: Archive, tmp_path: Path) -> None:
    one, other = theirs(), theirs()
    folder = on_medium(tmp_path / "cd", [*one, *other])
    wishes = asked({"AccessionNumber": "A77"})
    with pytest.raises(ConfigurationError, match="2 studies, and one order has one"):
        brought(archive, folder, wishes)
    chosen = asked({"AccessionNumber": "A77"}, choice=Choice(study_instance_uid=str(one[0].StudyInstanceUID)))
    assert fates(brought(archive, folder, chosen)) == {Fate.STORED: 2, Fate.LEFT_OUT: 2}
    assert {(each.AccessionNumber, each.PatientID) for each in stored(archive)} == {("A77", "T-9")}


def test_what_was_stored_before_under_another_name(archive: Archive, tmp_path: Path) -> None:
    """It stays as it is, and that is no success: the next step is told."""
    folder = on_medium(tmp_path / "cd", theirs())
    brought(archive, folder, Wishes())
    report = brought(archive, folder, asked(OURS))
    assert fates(report) == {Fate.UNCHANGED: 2}
    assert exit_code(report) == 1
    assert "archive patients" in report.results[0].reason


def test_choosing_alone_changes_nothing(archive: Archive, tmp_path: Path) -> None:
    several = [*theirs(), mr(PatientID="X")]
    folder = on_medium(tmp_path / "cd", several)
    report = brought(archive, folder, asked({}, choice=Choice(patient_id="X")))
    assert fates(report) == {Fate.STORED: 1, Fate.LEFT_OUT: 2}
    assert stored(archive)[0] == several[-1]
    with pytest.raises(ConfigurationError, match="nothing to import"):
        brought(archive, folder, asked({}, choice=Choice(patient_id="nobody")))


def test_a_constant_that_coerces_the_issuer(archive: Archive, tmp_path: Path) -> None:
    """[coercion] IssuerOfPatientID = "HOSPITAL": what all objects get says nothing about whose they are."""
    archive.ingest.coercions = Coercions((coerced("IssuerOfPatientID", "HOSPITAL"),), "ARCHIVE")
    from contextlib import ExitStack

    folder = on_medium(tmp_path / "cd", theirs())
    with ExitStack() as opened:
        gathered = gather([folder], opened)
        agreed = agree(archive, asked(OURS), gathered.files)
        report = run(reconciled(archive.ingest, agreed.reconciling), gathered)
    assert fates(report) == {Fate.STORED: 2}


@pytest.mark.parametrize(
    ("options", "others"),
    [
        ({"PatientBirthDate": "31.1.1970"}, ()),
        ({"PatientSex": "female"}, ()),
        ({"PatientID": "X" * 65}, ()),
        ({"PatientID": "A\\B"}, ()),
        ({}, ("StudyInstanceUID=1.2.3",)),
        ({}, ("Nonsense=1",)),
    ],
)
def test_values_that_cannot_be(options: dict[str, str], others: tuple[str, ...]) -> None:
    with pytest.raises(InvalidEntry):
        values(options, others)


def test_options_that_need_others() -> None:
    with pytest.raises(typer.BadParameter):
        values({"IssuerOfPatientID": "HOSPITAL"}, ())
    with pytest.raises(typer.BadParameter):
        values({}, ("StudyDescription",))
    assert values({}, ("StudyDescription=From CD",)) == {"StudyDescription": "From CD"}


def test_what_is_asked_before(archive: Archive, tmp_path: Path) -> None:
    """Whose it is, whose it is to be; who does not say yes gets nothing stored."""
    folder = on_medium(tmp_path / "cd", theirs())
    data = str(archive.settings.data)
    arguments = ["import", str(folder), "--data", data, "--patient-id", "H-1", "--patient-name", "Roe^M"]
    done = CliRunner().invoke(app, arguments, input="n\n")
    assert done.exit_code == 1
    assert "Roe^Rita, T-9, CLINIC, born 19700131, F" in done.stderr
    assert "To be: Roe^M, H-1" in done.stderr
    assert stored(archive) == []
    assert CliRunner().invoke(app, arguments, input="y\n").exit_code == 0
    assert {one.PatientID for one in stored(archive)} == {"H-1"}
