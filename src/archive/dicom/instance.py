"""An object as the index sees it: identity, place in the hierarchy, metadata, where its frames and bulk values lie.

All offsets and lengths are bytes, counted from the first byte of the encoded data set (after the File Meta
Information), so they hold however the object came in. For a deflated transfer syntax they count in the
inflated data set.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass


class Level(enum.IntEnum):
    """Query/Retrieve levels (PS3.4 C.6); IMAGE is the standard's word at the instance level."""

    PATIENT = 0
    STUDY = 1
    SERIES = 2
    IMAGE = 3


@dataclass(frozen=True, slots=True)
class Element:
    """One attribute of a data set, decoded.

    `values` are the values as text in Unicode, trailing padding removed (numbers in decimal; empty tuple for
    an attribute without value); for SQ they are empty. `json` is the DICOM JSON Model object (PS3.18 F.2.2)
    as compact text: `{"vr":"CS","Value":["CT"]}`.
    """

    vr: str
    values: tuple[str, ...]
    json: str


@dataclass(frozen=True, slots=True)
class BulkValue:
    """A value left out of the metadata. `path` is its name in the BulkDataURI: `7FE00010`, `00540016/0/00189999`."""

    path: str
    vr: str
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Instance:
    """All that one pass over an encoded data set learns. `length` is that of the data set as it came, deflated or
    not. `metadata` is DICOM JSON, compressed with zstd; each BulkDataURI in it is relative to the instance's own
    resource: `bulkdata/7FE00010`."""

    SOPClassUID: str
    SOPInstanceUID: str
    SeriesInstanceUID: str
    StudyInstanceUID: str
    transfer_syntax_uid: str
    length: int
    attributes: Mapping[int, Element]
    metadata: bytes
    bulk_values: tuple[BulkValue, ...]
    frames: bytes
    """The frame table, packed by `frames.FrameTable.pack`; empty for an object without pixel data."""


@dataclass(frozen=True, slots=True)
class Form:
    """By what an encoded data set is recognised: its SHA-256 (hex), and how these bytes are to be read."""

    sha256: str
    transfer_syntax_uid: str


@dataclass(frozen=True, slots=True)
class StoredInstance:
    """A row of the index: an instance and where its bytes are. The blob is a PS3.10 file; its data set begins at
    `data_set_offset` and has `data_set_length` bytes, whose SHA-256 is `sha256` (hex). `received_sha256` and
    `received_transfer_syntax_uid` are those of the data set as it was received; empty: the same."""

    StudyInstanceUID: str
    SeriesInstanceUID: str
    SOPInstanceUID: str
    SOPClassUID: str
    transfer_syntax_uid: str
    blob_key: str
    data_set_offset: int
    data_set_length: int
    sha256: str
    received_sha256: str = ""
    received_transfer_syntax_uid: str = ""

    @property
    def kept(self) -> Form:
        """What its bytes are."""
        return Form(self.sha256, self.transfer_syntax_uid)

    @property
    def received(self) -> Form:
        """What they were as they came in."""
        syntax = self.received_transfer_syntax_uid or self.transfer_syntax_uid
        return Form(self.received_sha256 or self.sha256, syntax)

    @property
    def blob_length(self) -> int:
        """Bytes of the whole PS3.10 file."""
        return self.data_set_offset + self.data_set_length


@dataclass(frozen=True, slots=True)
class Source:
    """Who sent an object: `door` is DIMSE, STOW-RS or IMPORT; `user` is who had signed in there."""

    door: str
    address: str = ""
    calling_ae_title: str = ""
    called_ae_title: str = ""
    user: str = ""


@dataclass(frozen=True, slots=True)
class Scope:
    """The instances that a retrieve means: everything below these UIDs. Empty tuples do not restrict. Two patients may
    have the same PatientID from different issuers."""

    study_instance_uids: tuple[str, ...] = ()
    series_instance_uids: tuple[str, ...] = ()
    sop_instance_uids: tuple[str, ...] = ()
    patient_ids: tuple[str, ...] = ()
    issuers_of_patient_id: tuple[str, ...] = ()
