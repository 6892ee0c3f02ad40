"""What somebody sees of the studies, as people read it and as a form asks for it."""

from __future__ import annotations

from typing import Any

from archive.security.views import Grant, View

_ALL = "All studies"
_WORDS = {
    "institution": ("Institution", "St. Mary*"),
    "referring": ("Referring physician", "Doe^Jane*"),
    "modality": ("Modality", "CT, MR"),
    "ae": ("Sent by AE title", "CT1"),
    "patient": ("Patient ID", "4711, 4712"),
    "issuer": ("Issuer of Patient ID", ""),
    "study": ("Study Instance UID", ""),
}
"""What a condition is called, and what one might write there; in the order in which a form has them."""


def about(view: View | None) -> dict[str, Any]:
    """What templates have to know of a view: `all` studies are seen; `sentences`, a study has to fulfil one of them;
    `grants`, what stands in the fields of each; `fields`, what these are called."""
    return {
        "all": view is None,
        "sentences": _sentences(view),
        "grants": _grants(view),
        "fields": [{"name": name, "label": label, "such_as": such} for name, (label, such) in _WORDS.items()],
    }


def words(view: View | None) -> str:
    """In a line."""
    return "; or ".join(_sentences(view))


def _sentences(view: View | None) -> list[str]:
    if view is None:
        return [_ALL]
    if len(view.sets) > 1:
        return [str(view)]
    return [_sentence(one) for one in view.sets[0]] or ["Nothing"]


def _sentence(grant: Grant) -> str:
    said = [(label, getattr(grant, name)) for name, (label, _) in _WORDS.items()]
    return " and ".join(f"{label} {' or '.join(values)}" for label, values in said if values)


def _grants(view: View | None) -> list[dict[str, str]]:
    if view is None or len(view.sets) > 1:
        return []
    return [grant.said for grant in view.sets[0]]
