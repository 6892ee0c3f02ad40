"""Attributes that a site wants coerced in whatever comes in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from archive.dicom.instance import Source
from archive.dicom.transfer_syntaxes import transfer_syntax
from archive.dicom.writing.coercion import Circumstances, Coerced, Coercer


@dataclass(frozen=True, slots=True)
class Coercions:
    """The attributes that a site wants coerced in all objects, and how it calls us there."""

    attributes: tuple[Coerced, ...] = ()
    modifying_system: str = ""

    def coercer(self, transfer_syntax_uid: str, source: Source) -> Coercer | None:
        """What changes one object; None when there is nothing to change."""
        if not self.attributes:
            return None
        moment = datetime.now(UTC).strftime("%Y%m%d%H%M%S.%f%z")
        told = Circumstances(moment, self.modifying_system, source.calling_ae_title)
        return Coercer(self.attributes, transfer_syntax(transfer_syntax_uid), told)


NOTHING = Coercions()
