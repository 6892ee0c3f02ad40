"""Shares: the links, the sessions that they opened, and how they were used."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from archive.dicom.deidentifying.actions import Options
from archive.index import rows, views
from archive.index.database import Connection
from archive.index.people_schema import person
from archive.index.schema import study
from archive.index.shares_schema import share, share_session, share_study, share_use
from archive.index.sql import among_these
from archive.security.roles import Right, rights_of, roles_named
from archive.security.shares import Deidentified, Session, Share, Use, Used
from archive.security.views import View

MOST_REFUSALS = 200
"""That are kept of a share: whoever has a link that has ended could fill the index."""
MOST_LISTED = 500

_MAKER = share.outerjoin(person, person.c.id == share.c.person_id)
_SHARE = (
    share.c.id,
    share.c.made_by,
    share.c.recipient,
    share.c.purpose,
    share.c.created_at,
    share.c.expires_at,
    share.c.revoked_at,
    share.c.passcode_hash,
    share.c.failed,
    share.c.most_attempts,
    share.c.uses,
    share.c.most_uses,
    share.c.may_download,
    share.c.deidentified_by,
    share.c.deidentified_options,
    share.c.person_id,
    person.c.roles,
    person.c.disabled_at,
    person.c.see,
)
_SESSION = (
    share_session.c.id,
    share_session.c.share_id,
    share_session.c.created_at,
    share_session.c.used_at,
    share_session.c.expires_at,
)


def add(connection: Connection, one: Share, digest: str) -> int | None:
    """Keep a new share of somebody, or of whoever runs the archive where `made_by` is a name that no person can have:
    its number. None where nobody of that name may sign in."""
    maker = _maker(connection, one.made_by)
    if maker is None:
        return None
    values = {
        "digest": digest,
        "made_by": one.made_by,
        "person_id": maker,
        "recipient": one.recipient,
        "purpose": one.purpose,
        "created_at": one.created_at,
        "expires_at": one.expires_at,
        "revoked_at": 0.0,
        "passcode_hash": one.passcode_hash,
        "failed": 0,
        "most_attempts": one.most_attempts,
        "uses": 0,
        "most_uses": one.most_uses,
        "may_download": int(one.may_download),
        "deidentified_by": one.deidentified.secret if one.deidentified else "",
        "deidentified_options": " ".join(one.deidentified.options.names) if one.deidentified else "",
    }
    key: int = connection.execute(sa.insert(share).values(values).returning(share.c.id)).scalar_one()
    studies = [{"share_id": key, "StudyInstanceUID": uid} for uid in one.studies]
    connection.execute(sa.insert(share_study), studies)
    return key


def of_digest(connection: Connection, digest: str) -> Share | None:
    """The share that a link means."""
    return _one(connection, share.c.digest == digest)


def get(connection: Connection, key: int) -> Share | None:
    """The share of this number."""
    return _one(connection, share.c.id == key)


def listed(connection: Connection, made_by: str | None = None) -> list[Share]:
    """Those of somebody, or all, the newest first; so many as one can look at."""
    wanted = () if made_by is None else (share.c.made_by == made_by,)
    return _several(connection, *wanted)


def deidentified(connection: Connection) -> list[Share]:
    """All that are de-identified, also those that have ended."""
    keys = connection.execute(sa.select(share.c.id).where(share.c.deidentified_by != "")).scalars()
    return [one for key in keys.all() if (one := get(connection, key)) is not None]


def revoke(connection: Connection, key: int, now: float) -> bool:
    """End a share and its sessions; False where it has ended so before, or never was."""
    ended = sa.update(share).where(share.c.id == key, share.c.revoked_at == 0).values(revoked_at=now)
    connection.execute(sa.delete(share_session).where(share_session.c.share_id == key))
    return connection.execute(ended).rowcount > 0


def revoke_all_of(connection: Connection, name: str, now: float) -> None:
    """End the shares of somebody who is here no longer."""
    theirs = sa.select(person.c.id).where(person.c.name == name)
    of = share.c.person_id.in_(theirs), share.c.revoked_at == 0
    connection.execute(sa.update(share).where(*of).values(revoked_at=now))


def forget_study(connection: Connection, study_uid: str) -> None:
    """A study was deleted: no share has it any more, also when it comes again."""
    connection.execute(sa.delete(share_study).where(share_study.c.StudyInstanceUID == study_uid))


def charge(connection: Connection, key: int) -> bool:
    """Count an attempt at the passcode before it is looked at, so that no number of workers allows more; False where
    none is left."""
    left = share.c.id == key, share.c.failed < share.c.most_attempts
    return connection.execute(sa.update(share).where(*left).values(failed=share.c.failed + 1)).rowcount > 0


def give_back(connection: Connection, key: int) -> None:
    """The attempt was right, and does not count."""
    connection.execute(sa.update(share).where(share.c.id == key).values(failed=share.c.failed - 1))


def enter(connection: Connection, one: Share, digest: str, session: Session, address: str) -> bool:
    """Count a use and keep a session; False where the share has ended meanwhile, or is used up."""
    now = session.created_at
    open_ = (
        share.c.id == one.id,
        share.c.revoked_at == 0,
        share.c.expires_at > now,
        sa.or_(share.c.most_uses == 0, share.c.uses < share.c.most_uses),
    )
    if not connection.execute(sa.update(share).where(*open_).values(uses=share.c.uses + 1)).rowcount:
        return False
    values = {
        "share_id": one.id,
        "digest": digest,
        "created_at": now,
        "used_at": now,
        "expires_at": session.expires_at,
        "downloaded_at": 0.0,
    }
    connection.execute(sa.insert(share_session).values(values))
    note(connection, Used(one.id, now, address, Use.OPENED))
    connection.execute(sa.delete(share_session).where(share_session.c.expires_at <= now))
    return True


def session(connection: Connection, digest: str) -> tuple[Share, Session] | None:
    """The session of this secret, and its share."""
    row = connection.execute(sa.select(*_SESSION).where(share_session.c.digest == digest)).first()
    found = Session(*row) if row is not None else None
    of = get(connection, found.share_id) if found is not None else None
    return (of, found) if of is not None and found is not None else None


def leave(connection: Connection, digest: str) -> int:
    """End a session: of which share it was, 0 where there was none."""
    ended = sa.delete(share_session).where(share_session.c.digest == digest)
    return connection.execute(ended.returning(share_session.c.share_id)).scalar() or 0


def used(connection: Connection, key: int, now: float) -> None:
    """Remember when a session was used last."""
    connection.execute(sa.update(share_session).where(share_session.c.id == key).values(used_at=now))


def downloaded(connection: Connection, key: int, now: float, since: float) -> bool:
    """Remember that a session downloads; False where that was remembered since then, and need not be again."""
    seldom = share_session.c.id == key, share_session.c.downloaded_at <= since
    return connection.execute(sa.update(share_session).where(*seldom).values(downloaded_at=now)).rowcount > 0


def note(connection: Connection, one: Used) -> None:
    """List a use; refusals only so many."""
    values: dict[str, Any] = {
        "share_id": one.share_id,
        "used_at": one.time,
        "address": one.address,
        "what": one.what.value,
    }
    if one.what is Use.REFUSED:
        alike = share_use.c.share_id == one.share_id, share_use.c.what == one.what.value
        number = connection.execute(
            sa.select(sa.func.count()).select_from(share_use).where(*alike)
        ).scalar_one()
        if number >= MOST_REFUSALS:
            return
    connection.execute(sa.insert(share_use).values(values))


def uses(connection: Connection, key: int) -> list[Used]:
    """How a share was used, the last first."""
    columns = share_use.c.share_id, share_use.c.used_at, share_use.c.address, share_use.c.what
    found = sa.select(*columns).where(share_use.c.share_id == key).order_by(share_use.c.id.desc())
    rows = connection.execute(found.limit(MOST_LISTED))
    return [Used(share_id, time, address, Use(what)) for share_id, time, address, what in rows]


def _maker(connection: Connection, name: str) -> int | None:
    """The key of who makes a share; 0 for whoever runs the archive, None for who may not."""
    if not name or ":" in name:  # no person has such a name
        return 0
    found = sa.select(person.c.id).where(person.c.name == name, person.c.disabled_at == 0)
    key: int | None = connection.execute(found.with_for_update()).scalar()
    return key


def _one(connection: Connection, *wanted: sa.ColumnElement[bool]) -> Share | None:
    return next(iter(_several(connection, *wanted)), None)


def _several(connection: Connection, *wanted: sa.ColumnElement[bool]) -> list[Share]:
    found = sa.select(*_SHARE).select_from(_MAKER).where(*wanted).order_by(share.c.id.desc())
    listed = connection.execute(found.limit(MOST_LISTED)).all()
    studies = _studies(connection, [row.id for row in listed])
    found_shares = [_share(row, tuple(studies.get(row.id, ()))) for row in listed]
    return [_hiding(connection, one) for one in found_shares]


def _hiding(connection: Connection, one: Share) -> Share:
    """With which of its studies its maker does not see: asked each time, as views and studies change."""
    if one.view is None or not one.studies:
        return one
    named = among_these(study.c.StudyInstanceUID, [rows.uid(uid) for uid in one.studies])
    seen = connection.execute(sa.select(study.c.StudyInstanceUID).where(named, *views.shown(one.view)))
    return replace(one, hidden=frozenset(one.studies) - frozenset(seen.scalars()))


def _studies(connection: Connection, keys: Sequence[int]) -> dict[int, list[str]]:
    of: dict[int, list[str]] = {}
    columns = share_study.c.share_id, share_study.c.StudyInstanceUID
    found = sa.select(*columns).where(share_study.c.share_id.in_(keys)).order_by(share_study.c.id)
    for key, uid in connection.execute(found) if keys else ():
        of.setdefault(key, []).append(uid)
    return of


def _share(row: Any, studies: tuple[str, ...]) -> Share:
    return Share(
        row.id,
        row.made_by,
        row.recipient,
        row.purpose,
        studies,
        row.created_at,
        row.expires_at,
        row.revoked_at,
        row.passcode_hash,
        row.failed,
        row.most_attempts,
        row.uses,
        row.most_uses,
        bool(row.may_download),
        is_orphaned=row.person_id != 0 and not _may_share(row.roles, row.disabled_at),
        view=View.read(json.loads(row.see)) if row.see else None,
        deidentified=_deidentified(row.deidentified_by, row.deidentified_options),
    )


def _deidentified(secret: str, options: str) -> Deidentified | None:
    return Deidentified(secret, Options.named(options.split())) if secret else None


def _may_share(roles: str | None, disabled_at: float | None) -> bool:
    """Whether who made it is still there, and may share."""
    if roles is None or disabled_at:
        return False
    return Right.SHARE in rights_of(roles_named(roles.split(",") if roles else ()))
