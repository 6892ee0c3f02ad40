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
