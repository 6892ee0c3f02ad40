"""What people may do: the rights that the doors ask for, and the roles that an administrator gives."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping

from archive.dicom.errors import InvalidEntry


class Right(enum.Enum):
    """What somebody may do. Each resource of the HTTP door asks for one of them."""

    SEE = "see"
    """Search for objects, retrieve them, see pictures of them."""
    STORE = "store"
    COMMIT = "commit"
    """Ask whether objects are kept safely."""
    WORKITEMS = "workitems"
    """Search for workitems, of whatever patients, and retrieve them."""
    WORK = "work"
    """Create and change workitems."""
    REJECT = "reject"
    """Reject objects by a note, so that they are hidden."""
    DELETE = "delete"
    CORRECT = "correct"
    """Change whose objects are: conflicts, corrections, worklist entries, decisions about rejections."""
    SHARE = "share"
    """Show studies that one sees to people without an account, by a link."""
    OBSERVE = "observe"
    """See what the archive is doing; nothing of patients."""
    ADMINISTER = "administer"
    """AE titles, people, and everything else that an installation is made of."""
    AUDIT = "audit"
    ACCOUNT = "account"
    """Their own account: password, tokens, sessions."""
    HOLD = "hold"
    """Place and lift holds: who may delete does not lift what keeps them from it."""


class Role(enum.Enum):
    """What an administrator gives. The value is how it is written."""

    VIEWER = "viewer"
    UPLOADER = "uploader"
    RADIOGRAPHER = "radiographer"
    ADMINISTRATOR = "administrator"
    AUDITOR = "auditor"


RIGHTS: Mapping[Role, frozenset[Right]] = {
    Role.VIEWER: frozenset({Right.ACCOUNT, Right.SEE, Right.WORKITEMS}),
    Role.UPLOADER: frozenset({Right.ACCOUNT, Right.STORE, Right.COMMIT}),
    Role.RADIOGRAPHER: frozenset(
        {
            Right.ACCOUNT,
            Right.SEE,
            Right.STORE,
            Right.COMMIT,
            Right.WORKITEMS,
            Right.WORK,
            Right.REJECT,
            Right.CORRECT,
            Right.SHARE,
        }
    ),
    Role.ADMINISTRATOR: frozenset(Right) - {Right.AUDIT, Right.HOLD},
    Role.AUDITOR: frozenset({Right.ACCOUNT, Right.OBSERVE, Right.AUDIT, Right.HOLD}),
}
"""Who administers does not read the audit trail by that, and who reads it changes nothing but holds."""

ALL_RIGHTS = frozenset(Right)

WITHIN_A_VIEW = frozenset({Right.ACCOUNT, Right.SEE, Right.STORE, Right.REJECT, Right.DELETE, Right.SHARE})
"""What somebody who sees some of the studies may do, where a role allows it: what all the others do shows patients, or
changes what everybody has."""


def rights_of(roles: Iterable[Role]) -> frozenset[Right]:
    """All that these roles allow together."""
    return frozenset().union(*(RIGHTS[role] for role in roles))


def roles_named(names: Iterable[str]) -> frozenset[Role]:
    """The roles of these names. Raises InvalidEntry."""
    try:
        return frozenset(Role(name.strip().lower()) for name in names)
    except ValueError:
        known = ", ".join(role.value for role in Role)
        raise InvalidEntry(f"role: one of them is not known; there are {known}") from None
