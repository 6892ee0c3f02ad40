"""The examples of docs/coercion.md are settings that the archive takes, and what it lists is what there is."""

from __future__ import annotations

import re
from pathlib import Path

from archive.config import load
from archive.dicom.rules import coercions, conditions
from archive.dicom.rules.compressions import AS_IT_COMES, TRANSFER_SYNTAXES

GUIDE = (Path(__file__).resolve().parents[1] / "docs" / "coercion.md").read_text()


def test_the_examples_are_taken(tmp_path: Path) -> None:
    blocks = re.findall(r"```toml\n(.*?)```", GUIDE, re.DOTALL)
    assert len(blocks) == 3
    path = tmp_path / "archive.toml"
    path.write_text("\n".join(blocks))
    settings = load(path, {})
    assert (len(settings.coercion), len(settings.coercion_rules), len(settings.compression)) == (1, 2, 2)


def test_every_condition_action_and_transfer_syntax_is_explained() -> None:
    explained = set(re.findall(r"`(\w+)`", "\n".join(re.findall(r"^\| (`.*?) \|", GUIDE, re.MULTILINE))))
    assert explained >= {*conditions.KEYS, *coercions.ACTIONS, *TRANSFER_SYNTAXES, AS_IT_COMES}
