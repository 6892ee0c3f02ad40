"""What holds for one application entity beyond its address: rights, limits and habits, kept as JSON."""

from __future__ import annotations

import dataclasses
import functools
import json
from dataclasses import dataclass

from archive.security.operations import ALL_OPERATIONS, Operation
from archive.security.views import View


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of one AE title; the defaults are those of an entry that says nothing.

    On its way in: `addresses` further addresses or networks it may call from; `operations` what it may ask for;
    `called` which of our AE titles it may call (none named: any); `destinations` where its C-MOVE may send to (none
    named: any known AE title); `aliases` what it sends instead of its title, "" for a blank one; `any_case` whether
    its title is compared without case; `maximum_associations` at one time over all workers, 0 for no limit of its own;
    `duplicates` what becomes of an object whose SOP Instance UID is taken, "" as the settings say; `require_tls`,
    `certificate` ("sha256:…", or a name in the certificate that it has to show), `identity` ("", "password" or
    "token": PS3.7 D.3.3.7) with `user` and `password_hash`; `character_set` of answers to a request without one;
    `relational` whether queries may leave out the keys of the levels above without negotiation; `see` what it sees of
    the studies, as `security.views` reads it (none named: all).

    On its way out: `associations` at one time when much is sent to it; `tls` whether it is called over TLS;
    `transfer_syntax` it likes best, "" for as stored; `notify` whether it hears of studies that have become
    available (PS3.4 annex R)."""

    addresses: tuple[str, ...] = ()
    operations: frozenset[Operation] = ALL_OPERATIONS
    destinations: tuple[str, ...] = ()
    called: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    any_case: bool = False
    maximum_associations: int = 0
    associations: int = 1
    duplicates: str = ""
    tls: bool = False
    require_tls: bool = False
    certificate: str = ""
    identity: str = ""
    user: str = ""
    password_hash: str = ""
    character_set: str = ""
    transfer_syntax: str = ""
    notify: bool = False
    relational: bool = True
    see: tuple[str, ...] = ()

    @property
    def view(self) -> View | None:
        """What it sees; None: everything. Raises InvalidEntry for what cannot be read."""
        return _view(self.see) if self.see else None

    def to_json(self) -> str:
        """What differs from the defaults, as a JSON object."""
        said = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if getattr(self, field.name) != getattr(DEFAULT_RULES, field.name)
        }
        if "operations" in said:
            said["operations"] = sorted(operation.value for operation in self.operations)
        return json.dumps(said)


_view = functools.lru_cache(maxsize=256)(View.read)

DEFAULT_RULES = Rules()


def from_json(text: str) -> Rules:
    """The rules that `to_json` made a text of; what another version of the archive wrote more is left out."""
    names = {field.name for field in dataclasses.fields(Rules)}
    said = {name: value for name, value in json.loads(text).items() if name in names}
    said = {name: tuple(value) if isinstance(value, list) else value for name, value in said.items()}
    if "operations" in said:
        known = {operation.value for operation in Operation}
        said["operations"] = frozenset(Operation(value) for value in said["operations"] if value in known)
    return Rules(**said)
