"""One object that is to say something else of its patient or study: what it says now, and the bytes that say it
anew.

What was there is kept in the Original Attributes Sequence, with the reason CORRECT (PS3.3 C.12.1.1.9). The bytes that
it is made from must be what they were when they came in: damage is never given a new digest. And what was written is
read again, and must say what was wanted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson
import zstandard

from archive.dicom.attributes import BY_TAG
from archive.dicom.demographics import tag_of
from archive.dicom.errors import CannotUnderstand, NotFound
from archive.dicom.instance import BulkValue, Instance, Source, StoredInstance
from archive.dicom.reading.reader import DataSetReader
from archive.dicom.transfer_syntaxes import transfer_syntax
from archive.dicom.writing import correcting
from archive.dicom.writing.coercion import Circumstances, Coerced, Coercer
from archive.index import kept
from archive.index.correction_rules import Value
from archive.services import shaping
from archive.services.shaping import Shape, Written
from archive.storage.base import Blob, BlobStore

_PIECE = 1 << 17
_TEXTS = frozenset(("LO", "LT", "PN", "SH", "ST", "UC", "UT", "UN"))


@dataclass(slots=True)
class Rewriting:
    """An object that is to say these values. `before` is what it said of those that were changed, and `is_changed`
    whether any was; both once all pieces have been made."""

    stored: StoredInstance
    metadata: bytes
    bulk_values: Sequence[BulkValue]
    opened: Callable[[], Blob]
    values: Mapping[str, str]
    circumstances: Circumstances
    _coercer: Coercer | None = field(default=None, init=False)

    @property
    def shape(self) -> Shape:
        """What it is to become. Raises InvalidValue where it cannot say the values."""
        wanted = self._wanted()
        syntax = self.stored.transfer_syntax_uid

        def pieces() -> Iterator[bytes]:
            self._coercer = coercer = Coercer(wanted, transfer_syntax(syntax), self.circumstances)
            digest = hashlib.sha256()
            with self.opened() as blob:
                for piece in blob.pieces(self.stored.data_set_offset, self.stored.data_set_length):
                    digest.update(piece)
                    for out in coercer.feed(piece):
                        yield bytes(out)
            if digest.hexdigest() != self.stored.sha256:
                raise NotFound("the stored bytes of this instance were damaged: restore them from a backup")
            yield coercer.finish()

        tags = tuple(sorted(tag_of(keyword) for keyword in self.values))
        return Shape(syntax, pieces, tags)

    def _wanted(self) -> tuple[Coerced, ...]:
        if all(value.isascii() for value in self.values.values()):
            return correcting.wanted(self.values, (), is_ascii=True)
        is_ascii = _is_ascii(self.metadata) and not any(value.vr in _TEXTS for value in self.bulk_values)
        return correcting.wanted(self.values, self._character_sets(), is_ascii=is_ascii)

    def _character_sets(self) -> tuple[str, ...]:
        """Those that the object names. They are read from its bytes, as its metadata is in UTF-8 whatever it was."""
        reader = DataSetReader(self.stored.transfer_syntax_uid, wanted=frozenset((correcting.CHARACTER_SET,)))
        with self.opened() as blob:
            length = min(self.stored.data_set_length, _PIECE)
            for piece in blob.pieces(self.stored.data_set_offset, length):
                reader.feed(piece)
        return reader.values(correcting.CHARACTER_SET)

    @property
    def is_changed(self) -> bool:
        """Whether it says anything else now."""
        return self._coercer is not None and bool(self._coercer.modified_tags)

    @property
    def before(self) -> dict[str, str]:
        """What it said, by keyword."""
        return correcting.former(self._coercer, self.values) if self._coercer is not None else {}


def rewritten(store: BlobStore, one: Rewriting, source: Source) -> Written:
    """The object anew, in a blob that the caller publishes or discards. Raises ArchiveError; nothing is left then."""
    made = shaping.written(store, one.stored, one.opened, source, one.shape)
    try:
        check(made.instance, one.values)
    except BaseException:
        made.writer.discard()
        raise
    return made


def check(instance: Instance, values: Mapping[str, str]) -> None:
    """Raises CannotUnderstand unless the object says these values, as far as the index knows the attributes."""
    says = value_of(instance)
    for keyword, value in values.items():
        if tag_of(keyword) in BY_TAG and says(keyword) != value:
            raise CannotUnderstand(f"{keyword} could not be written into this object", tag_of(keyword))


def circumstances(modifying_system: str, source: Source) -> Circumstances:
    """What the Original Attributes Sequence tells."""
    moment = datetime.now(UTC).strftime("%Y%m%d%H%M%S.%f%z")
    return Circumstances(moment, modifying_system, source.calling_ae_title, "CORRECT")


def value_of(instance: Instance) -> Value:
    """What an object says of an attribute, as text; several values between backslashes."""
    parsed: list[dict[str, Any]] = []

    def value(keyword: str) -> str:
        tag = tag_of(keyword)
        if tag in BY_TAG:
            element = instance.attributes.get(tag)
            if element is None:
                return ""
            said = "\\".join(element.values).strip("\0 ")
            return said or ("" if element.json == f'{{"vr":"{element.vr}"}}' else _unless_empty(element.json))
        if not parsed:
            with kept.parsed(instance.metadata) as members:
                parsed.append(dict(members or {}))
        return text_of(parsed[0].get(f"{tag:08X}", {}))

    return value


def _unless_empty(text: str) -> str:
    """Values that are empty all the same: `[null]`, or a name without a group."""
    return text_of(orjson.loads(text))


def text_of(member: Mapping[str, Any]) -> str:
    """A member of the DICOM JSON Model as text; several values between backslashes."""
    values = member.get("Value")
    if values is None:
        return orjson.dumps(dict(member)).decode() if len(member) > 1 else ""
    return "\\".join(_one(value) for value in values).strip("\0 ")


def _one(value: Any) -> str:
    if not isinstance(value, dict):
        return "" if value is None else str(value)
    if value.keys() <= {"Alphabetic", "Ideographic", "Phonetic"}:
        return "=".join(value.get(name, "") for name in ("Alphabetic", "Ideographic", "Phonetic")).rstrip("=")
    return orjson.dumps(value).decode()


def _is_ascii(metadata: bytes) -> bool:
    """Whether all texts of an object are ASCII. Its metadata may be longer than memory bears."""
    reader = zstandard.ZstdDecompressor().stream_reader(metadata)
    is_ascii = True
    while piece := reader.read(_PIECE):
        is_ascii = is_ascii and piece.isascii()
    return is_ascii
