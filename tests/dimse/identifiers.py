"""Identifiers for tests, built from keywords and encoded as an SCU would."""

from __future__ import annotations

from typing import Any

from pydicom import config
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.dsutils import encode

from archive.dimse.identifier import Identifier, read


def data_set(level: str | None, **keywords: Any) -> Dataset:
    """A pydicom data set with Query/Retrieve Level and these attributes, valid or not."""
    made = Dataset()
    if level is not None:
        made.QueryRetrieveLevel = level
    for keyword, value in keywords.items():
        tag = tag_for_keyword(keyword)
        assert tag is not None
        made.add(DataElement(tag, dictionary_VR(tag).split(" ")[0], value, validation_mode=config.IGNORE))
    return made


def encoded(made: Dataset, *, implicit: bool = False) -> bytes:
    """Its bytes."""
    found = encode(made, implicit, True)
    assert found is not None
    return found


def identifier(level: str | None, *, implicit: bool = False, **keywords: Any) -> Identifier:
    """As the handlers see it."""
    syntax = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
    return read(encoded(data_set(level, **keywords), implicit=implicit), syntax)
