"""Rules about how new objects are kept: compressed without loss, or as they come.

transfer_syntax = "HTJ2KLossless"      or "none"
modality = ["CT", "MR"]                any of the conditions
"""

from __future__ import annotations

from dataclasses import dataclass

from archive.dicom.rules import conditions, tables
from archive.dicom.rules.conditions import Conditions
from archive.dicom.rules.tables import Table

AS_IT_COMES = "none"
TRANSFER_SYNTAXES = {
    "HTJ2KLossless": "1.2.840.10008.1.2.4.201",
    "JPEG2000Lossless": "1.2.840.10008.1.2.4.90",
    "JPEGLSLossless": "1.2.840.10008.1.2.4.80",
    "JPEGLosslessSV1": "1.2.840.10008.1.2.4.70",
    "RLELossless": "1.2.840.10008.1.2.5",
}
"""Those to choose among, by their keywords: lossless ones that other systems can decode."""


@dataclass(frozen=True, slots=True)
class CompressionRule:
    """The objects that it is for are kept in this transfer syntax; an empty one says as they come."""

    conditions: Conditions
    transfer_syntax_uid: str


def compression_rule(table: Table) -> CompressionRule:
    """Raises ValueError."""
    tables.check_keys(table, ("transfer_syntax", *conditions.KEYS))
    wanted = tables.text(table.get("transfer_syntax"), "transfer_syntax")
    known = {AS_IT_COMES: "", **TRANSFER_SYNTAXES, **{uid: uid for uid in TRANSFER_SYNTAXES.values()}}
    if wanted not in known:
        raise ValueError(f"transfer_syntax must be one of {', '.join((*TRANSFER_SYNTAXES, AS_IT_COMES))}")
    return CompressionRule(conditions.conditions(table), known[wanted])
