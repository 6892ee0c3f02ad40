"""The Warning headers that PS3.18 chapter 11 asks for where a request is refused, by the class of the error.

Everywhere else an error becomes an answer in the middleware; here one header comes with it, which depends on the
transaction too. The sentence in the body stays that of the error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from archive.dicom import errors
from archive.dicom.errors import ArchiveError
from archive.web.http import errors as wording
from archive.web.http.exchange import Answer, Asked

Texts = Mapping[type[ArchiveError], str]

ALREADY = {
    "CANCELED": "The UPS is already in the requested state of CANCELED.",
    "COMPLETED": "The UPS is already in the requested state of COMPLETED.",
}

CREATED_WITH_MODIFICATIONS = "The Workitem was created with modifications."
"""PS3.18 11.4.3.2: it has got a Worklist Label."""

UPDATE: Texts = {
    errors.NotInProgress: "The target URI did not reference a claimed Workitem.",
    errors.WorkitemRefusal: "The submitted request is inconsistent with the current state of the Workitem.",
}
"""PS3.18 11.6.3.2."""

CHANGE_STATE: Texts = {
    errors.WrongTransactionUID: "The Transaction UID is incorrect.",
    errors.WorkitemRefusal: "The submitted request is inconsistent with the state of the UPS Instance.",
}
"""PS3.18 11.7.3.2."""

CHANGE_STATE_UNLOCKED: Texts = {
    **CHANGE_STATE,
    errors.WrongTransactionUID: "The Transaction UID is missing.",
}
"""The same for a request that has none."""


def answered(asked: Asked, act: Callable[[], Answer], texts: Texts) -> Answer:
    """What `act` answers; or the answer to what it raises, if the table has a warning for that. Raises everything
    else."""
    try:
        return act()
    except ArchiveError as error:
        told = next((texts[above] for above in type(error).__mro__ if above in texts), "")
        if not told:
            raise
        refused = wording.worded(error)
        return replace(refused, headers=(*refused.headers, warning(asked, told)))


def warning(asked: Asked, sentence: str) -> tuple[str, str]:
    """A Warning header in the form of chapter 11: `299 <service>: <text>`."""
    return "Warning", f"299 {asked.base_url}: {sentence}"
