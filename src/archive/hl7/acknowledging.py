"""Acknowledgments in the original mode (HL7 v2.5 2.9.2): MSH, MSA and, unless all is well, ERR.

They are in the separators and the character set of the message. What python-hl7 makes has no room for a reason, and
fails where the header lacks a field.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from archive.hl7.message import Message

ACCEPTED = "AA"
_LONGEST_TEXT = 200
_USUAL = "|^~\\&"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is said of a message: a code of HL7 table 0008 and, of what is refused, one of table 0357 and why."""

    code: str
    error: int = 0
    reason: str = ""


def acknowledgment(message: Message | None, outcome: Outcome) -> bytes:
    """The answer to a message; None: to one of which nothing could be read."""
    marks = _marks(message)
    separator, component = marks[0], marks[1]
    text = _escaped(outcome.reason[:_LONGEST_TEXT], marks)
    control_id = _raw(message, 10)
    now = datetime.datetime.now().strftime("%Y%m%d%H%M%S")
    event = _event(message, component)
    header = [
        "MSH",
        marks[1:],
        _raw(message, 5),
        _raw(message, 6),
        _raw(message, 3),
        _raw(message, 4),
        now,
        "",
    ]
    header += [component.join(filter(None, ("ACK", event, event and "ACK")))]
    header += [control_id or now, _raw(message, 11) or "P", _raw(message, 12) or "2.3.1"]
    header += ["", "", "", "", "", _raw(message, 18)]
    made = [header, ["MSA", outcome.code, control_id, text]]
    if outcome.code != ACCEPTED:
        meaning = component.join((str(outcome.error), "", "HL70357"))
        made.append(["ERR", "", "", meaning, "E", "", "", "", text])
    lines = (separator.join(segment).rstrip(separator) + "\r" for segment in made)
    return "".join(lines).encode(message.codec if message else "ascii", "replace")


def _marks(message: Message | None) -> str:
    """Field, component, repetition, escape and subcomponent mark, as they stand in MSH."""
    if message is None:
        return _USUAL
    found = _raw(message, 1) + _raw(message, 2)
    return found + _USUAL[len(found) :]


def _raw(message: Message | None, field: int) -> str:
    """A field of the header as it was sent."""
    if message is None or field >= len(message.header.fields):
        return ""
    return str(message.header.fields[field])


def _event(message: Message | None, component: str) -> str:
    """The trigger event (MSH-9.2) as it was sent: it may hold what cannot be unescaped."""
    parts = _raw(message, 9).split(component)
    return parts[1] if len(parts) > 1 else ""


def _escaped(text: str, marks: str) -> str:
    escape, codes = marks[3], dict(zip(marks, "FSRET", strict=False))
    return "".join(f"{escape}{codes[one]}{escape}" if one in codes else one for one in text)
