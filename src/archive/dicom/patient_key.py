"""By what patients are told apart: an ID, and who gave it.

The same ID of two issuers is of two patients. An ID without an issuer is one of its own: which issuer is meant is for
whoever brings it to say.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class PatientKey:
    """Patient ID (0010,0020) and Issuer of Patient ID (0010,0021), "" where there is none."""

    PatientID: str
    IssuerOfPatientID: str = ""


@dataclass(frozen=True, slots=True)
class Identifier:
    """A patient's ID as another system has it, and the names of its assigning authority, of which the archive may have
    either as issuer. `home`: whether what names no issuer is meant by it too; None: if nobody else gives this ID."""

    PatientID: str
    authorities: tuple[str, ...]
    home: bool | None

    @property
    def named(self) -> tuple[PatientKey, ...]:
        """With an issuer; or without, where there is no authority."""
        return tuple(PatientKey(self.PatientID, one) for one in self.authorities or ("",))
