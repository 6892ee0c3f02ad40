"""What the settings want made of new objects: coerced, compressed."""

from __future__ import annotations

import json

from archive.dicom.reading.reader import WANTED
from archive.dicom.rules.coercions import coercion_rule
from archive.dicom.rules.compressions import CompressionRule, compression_rule
from archive.dicom.rules.retention import RetentionRule, retention_rule
from archive.dicom.writing.coercion import coerced
from archive.services.coercing import Coercing, Coercions
from archive.services.compressing import Compressing
from archive.services.shaping import Shaper
from archive.settings.whole import Settings


def coercions(settings: Settings) -> Coercions:
    """What the settings want coerced in every object."""
    wanted = tuple(coerced(one.keyword, one.value) for one in settings.coercion)
    return Coercions(wanted, settings.dimse.ae_title)


def shapers(settings: Settings) -> tuple[Shaper, ...]:
    """What is made of new objects, in this order: coerced by rules, compressed; and in the end corrected."""
    coercing, compressions = coercing_by_rules(settings), compression_rules(settings)
    made: tuple[Shaper, ...] = (coercing,) if coercing is not None else ()
    return (*made, Compressing(compressions)) if compressions else made


def coercing_by_rules(settings: Settings) -> Coercing | None:
    """What carries the rules of coercion out; None without any."""
    rules = tuple(coercion_rule(json.loads(rule.text)) for rule in settings.coercion_rules)
    return Coercing(rules, settings.dimse.ae_title) if rules else None


def retention_rules(settings: Settings) -> tuple[RetentionRule, ...]:
    """The rules of retention."""
    return tuple(retention_rule(json.loads(rule.text)) for rule in settings.retention)


def compression_rules(settings: Settings) -> tuple[CompressionRule, ...]:
    """The rules of compression."""
    return tuple(compression_rule(json.loads(rule.text)) for rule in settings.compression)


def wanted(settings: Settings) -> frozenset[int]:
    """The attributes of each object that are to be known: to the index, and to the rules."""
    coercing = coercing_by_rules(settings)
    of_rules = (rule.conditions.tags for rule in compression_rules(settings))
    return WANTED.union(coercing.tags if coercing is not None else (), *of_rules)
