"""Look at the series of a study again only when the last one of a modality goes.

Each series that was deleted or moved had its whole study counted again, so that a study of thousands of series took
the square of that, in one transaction for which everybody waited. SQLite alone has these triggers.
"""

from __future__ import annotations

from alembic import op

revision = "0017"
down_revision = "0016"

_ADD = r"""
    UPDATE study SET modalities = iif(modalities = '', '\', modalities) || NEW."Modality" || '\'
    WHERE id = NEW.study_id AND instr(modalities, '\' || NEW."Modality" || '\') = 0"""
_NOTE_ALL = r"""
    UPDATE study SET modalities = (
        SELECT coalesce('\' || group_concat(code, '\') || '\', '') FROM (
            SELECT DISTINCT "Modality" AS code FROM series WHERE study_id = study.id AND "Modality" <> ''
        )
    ) WHERE id = OLD.study_id"""
_LAST = """OLD."Modality" <> '' AND NOT EXISTS (
        SELECT 1 FROM series WHERE study_id = OLD.study_id AND "Modality" = OLD."Modality"
    )"""
_OTHER = 'NEW.study_id <> OLD.study_id OR NEW."Modality" <> OLD."Modality"'
_TRIGGERS = (
    f"""CREATE TRIGGER "series_Modality_removed" AFTER DELETE ON series
    WHEN {_LAST} BEGIN {_NOTE_ALL}; END""",
    f"""CREATE TRIGGER "series_Modality_left" AFTER UPDATE OF study_id, "Modality" ON series
    WHEN ({_OTHER}) AND {_LAST} BEGIN {_NOTE_ALL}; END""",
    f"""CREATE TRIGGER "series_Modality_come" AFTER UPDATE OF study_id, "Modality" ON series
    WHEN ({_OTHER}) AND NEW."Modality" <> '' BEGIN {_ADD}; END""",
)


def upgrade() -> None:
    """Replace the triggers."""
    if op.get_bind().dialect.name != "sqlite":
        return
    for name in ("series_Modality_removed", "series_Modality_changed"):
        op.execute(f'DROP TRIGGER "{name}"')
    for trigger in _TRIGGERS:
        op.execute(trigger)
