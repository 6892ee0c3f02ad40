"""Attributes that a site wants coerced in whatever comes in: by constants for all objects, which are coerced while they
come, and by rules, which have to know the object."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import structlog

from archive.dicom import attribute_ids
from archive.dicom.instance import Source
from archive.dicom.rules.coercions import CoercionRule, outcome
from archive.dicom.transfer_syntaxes import transfer_syntax
from archive.dicom.writing.coercion import Circumstances, Coerced, Coercer
from archive.services.shaping import Received, Shape

_log = structlog.get_logger()


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


class Coercing:
    """A shaper, by rules of which all that fit are carried out."""

    def __init__(self, rules: tuple[CoercionRule, ...], modifying_system: str) -> None:
        self._rules = rules
        self._modifying_system = modifying_system

    @property
    def tags(self) -> frozenset[int]:
        """The attributes that the rules have to know of an object."""
        return frozenset().union(*(rule.tags for rule in self._rules))

    def __call__(self, received: Received) -> Shape | None:
        """The object with its attributes coerced; None where nothing is to be changed. Raises InvalidValue."""
        found = outcome(self._rules, received.source, received.instance)
        if found.left:
            _log.warning(
                "attributes_not_coerced",
                sop_instance_uid=received.instance.SOPInstanceUID,
                attributes=[attribute_ids.keyword(tag) for tag in found.left],
            )
        if not found.wanted:
            return None
        coercions = Coercions(found.wanted, self._modifying_system)
        pieces = partial(_pieces, received, coercions)
        tags = tuple(one.tag for one in found.wanted)
        return Shape(received.stored.transfer_syntax_uid, pieces, tags, optional=not found.required)


def _pieces(received: Received, coercions: Coercions) -> Iterator[bytes]:
    stored = received.stored
    coercer = coercions.coercer(stored.transfer_syntax_uid, received.source)
    assert coercer is not None
    with received.open() as blob:
        for piece in blob.pieces(stored.data_set_offset, stored.data_set_length):
            yield from map(bytes, coercer.feed(piece))
    yield coercer.finish()
