"""Lists that are made from LiteLLM are read as they were written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from proxies.support import generated_lists


def test_lists_are_read_as_they_were_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By their names, without the version of LiteLLM, which the file says first."""
    monkeypatch.setattr(generated_lists, "version", lambda name: {"litellm": "1.2.3"}[name])
    file = tmp_path / "lists.json"
    generated_lists.write(file, {"names": ["a", "b"], "none": []})
    assert generated_lists.read(file) == {"names": frozenset({"a", "b"}), "none": frozenset()}
    assert next(iter(json.loads(file.read_text()).items())) == ("litellm", "1.2.3")
