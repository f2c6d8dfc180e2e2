from __future__ import annotations

import re
from pathlib import Path

from phonolyte.runs.citations import CITED, FILE, cite


def test_every_name_has_its_entries_once(tmp_path: Path):
    cite(tmp_path, *CITED)
    found = re.findall(r"(?m)^@article\{(\w+),", (tmp_path / FILE).read_text())
    assert len(found) == len(set(found))
    assert set(found) == {key for keys in CITED.values() for key in keys}


def test_a_run_cites_what_it_used_and_no_more(tmp_path: Path):
    cite(tmp_path, "migrate", "md", None)
    text = (tmp_path / FILE).read_text()
    assert "kinisi" in text
    assert "jaafreh2024" not in text
