"""A few questions to the DIMSE side beside the web (`--dimse`): one archive gives one answer (PS3.4 B and C)."""

from __future__ import annotations

from pydicom.dataset import Dataset

from conformance import dimse, objects, uids
from conformance.client import DICOM
from conformance.native_model import text
from conformance.objects import Object
from conformance.registry import check
from conformance.verdicts import Level, Skipped, expect
from conformance.world import DimsePeer, World


def _peer(w: World) -> DimsePeer:
    if w.dimse is None:
        raise Skipped("no --dimse HOST:PORT:AET")
    return w.dimse


def _identifier(level: str, **keys: str) -> Dataset:
    ds = Dataset()
    ds.QueryRetrieveLevel, ds.SpecificCharacterSet = level, "ISO_IR 192"
    for keyword, value in keys.items():
        setattr(ds, keyword, value)
    return ds


def _study(w: World, name: str, *returned: str) -> Dataset:
    keys = dict.fromkeys(returned, "")
    uid = str(w[name].dataset.StudyInstanceUID)
    found = dimse.find(_peer(w), _identifier("STUDY", StudyInstanceUID=uid, **keys))
    expect(len(found) == 1, f"C-FIND gives {len(found)} studies, not one")
    return found[0]


@check("DIM.1", "C-ECHO", "PS3.4 A.4", Level.OPTIONAL)
def echo(w: World) -> None:
    status = dimse.echo(_peer(w))
    expect(status == dimse.SUCCESS, f"status {status:04X}")


@check("DIM.2", "what C-STORE brings is on the web", "PS3.4 B.2.3, PS3.18 10.4", Level.OPTIONAL)
def stored(w: World) -> None:
    one = objects.part(w.run, "DIM2")
    peer = _peer(w)
    w.remember(one)
    dimse.store(peer, one)
    back = w.get(one.instance, DICOM).must(200).datasets()[0]
    expect(bytes(back.PixelData) == one.pixels, "the pixels are others")


@check(
    "DIM.3", "what C-STORE brings as Implicit VR is Explicit VR on the web", "PS3.18 8.7.3.4", Level.OPTIONAL
)
def stored_implicit(w: World) -> None:
    plain = objects.part(w.run, "DIM3")
    one = Object("DIM3", plain.dataset, uids.IMPLICIT)
    peer = _peer(w)
    w.remember(one)
    dimse.store(peer, one)
    back = w.get(one.instance, DICOM).must(200).datasets()[0]
    expect(back.file_meta.TransferSyntaxUID == uids.EXPLICIT, f"{back.file_meta.TransferSyntaxUID} came")


@check("DIM.4", "C-FIND finds what the web stored", "PS3.4 C.4.1", Level.OPTIONAL, ["ct1", "mr1"])
def found(w: World) -> None:
    item = _study(w, "ct1", "PatientID", "ModalitiesInStudy")
    expect(str(item.PatientID) == str(w["ct1"].dataset.PatientID), f"PatientID {item.PatientID}")
    given = item.get("ModalitiesInStudy") or []
    expect(sorted([given] if isinstance(given, str) else given) == ["CT", "MR"], f"ModalitiesInStudy {given}")


def _name(number: int, name: str, script: str) -> None:
    @check(
        f"DIM.{number}",
        f"C-FIND returns a name in {script}",
        "PS3.4 C.4.1.1",
        Level.OPTIONAL,
        [name],
    )
    def run(w: World) -> None:
        given = str(_study(w, name, "PatientName").PatientName)
        wanted = str(w[name].dataset.PatientName)
        asked = "C-FIND at STUDY level by Study Instance UID, asked in ISO_IR 192"
        expect(
            given == wanted or wanted.startswith(given + "="), f"{asked}: {given} came, {wanted} was stored"
        )


_name(5, "ru", "Cyrillic")
_name(6, "jp", "Japanese")


@check(
    "DIM.7", "both sides count the same", "PS3.4 C.3.4, PS3.18 Table 10.6.3-3", Level.OPTIONAL, ["ct1", "mr1"]
)
def counts(w: World) -> None:
    item = _study(w, "ct1", "NumberOfStudyRelatedInstances")
    given = item.get("NumberOfStudyRelatedInstances")
    if given is None:
        raise Skipped("C-FIND does not return NumberOfStudyRelatedInstances")
    uid = str(w["ct1"].dataset.StudyInstanceUID)
    web = text(w.search("/studies", StudyInstanceUID=uid)[0], "00201208")
    expect(str(given) == web, f"{given} by C-FIND, {web} on the web")


@check("DIM.8", "C-GET brings the pixels", "PS3.4 C.4.3", Level.OPTIONAL, ["ct1"])
def got(w: World) -> None:
    ds = w["ct1"].dataset
    identifier = _identifier(
        "IMAGE",
        StudyInstanceUID=str(ds.StudyInstanceUID),
        SeriesInstanceUID=str(ds.SeriesInstanceUID),
        SOPInstanceUID=str(ds.SOPInstanceUID),
    )
    received = dimse.get(_peer(w), identifier, uids.CT)
    expect([bytes(one.PixelData) for one in received] == [w["ct1"].pixels], f"{len(received)} instances came")
