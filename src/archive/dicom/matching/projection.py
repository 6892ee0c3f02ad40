"""What an answer shows of a data set: parts of sequences, and private attributes in the asker's blocks.

C-FIND and QIDO-RS return of a sequence the attributes that were asked for (PS3.4 C.2.2.2.6). The block of a private
attribute is numbered as the asker does, whatever its number is in the object, and its Private Creator Element comes
with it (PS3.18 10.6.3.3, PS3.5 7.8.1).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from archive.dicom.attribute_levels import is_private
from archive.dicom.matching.item_matching import Blocks, DataSet, creator_of
from archive.dicom.query import Path


@dataclass
class Wanted:
    """The attributes to show of a data set: whole ones, and those within sequences; and how its blocks are named."""

    whole: set[int] = field(default_factory=set)
    within: dict[int, Wanted] = field(default_factory=dict)
    creators: dict[int, str] = field(default_factory=dict)


def wanted(paths: Iterable[Path], creators: Iterable[tuple[Path, str]]) -> Wanted:
    """What these paths want altogether. An attribute that is wanted as a whole hides its parts."""
    root = Wanted()
    for path in paths:
        at = root
        for tag in path[:-1]:
            at = at.within.setdefault(tag, Wanted())
        at.whole.add(path[-1])
    for path, name in creators:
        _name_block(root, path, name)
    return root


def shown(data_set: DataSet, what: Wanted) -> dict[str, Any]:
    """The attributes of the data set that are wanted, in the order of tags."""
    found: dict[str, Any] = {}
    blocks = Blocks(data_set, what.creators)
    for tag in what.whole | set(what.within):
        member = data_set.get(blocks.tag_text(tag))
        if member is None:
            continue
        found[f"{tag:08X}"] = member if tag in what.whole else _part(member, what.within[tag])
        found.update(_creator_beside(tag, what.creators))
    return dict(sorted(found.items()))


def _part(member: Mapping[str, Any], what: Wanted) -> Mapping[str, Any]:
    if member.get("vr") != "SQ" or not member.get("Value"):
        return member
    return {"vr": "SQ", "Value": [shown(item or {}, what) for item in member["Value"]]}


def _creator_beside(tag: int, creators: Mapping[int, str]) -> dict[str, Any]:
    name = creators.get(creator_of(tag)) if is_private(tag) else None
    return {} if name is None else {f"{creator_of(tag):08X}": {"vr": "LO", "Value": [name]}}


def _name_block(root: Wanted, path: Path, name: str) -> None:
    for tag in path[:-1]:
        if tag not in root.within:
            return
        root = root.within[tag]
    root.creators[path[-1]] = name
