"""Lists that are made from LiteLLM are read as they were written."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxies.support import generated_lists


def test_lists_of_several_versions_are_read_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What any version lists counts, but for lists that have to hold in each; each version writes its own."""
    file = tmp_path / "lists.json"
    for litellm, names in (("1.2.3", ["a", "z"]), ("1.2.4", ["a", "b"]), ("1.2.3", ["a", "c"])):
        monkeypatch.setattr(generated_lists, "version", {"litellm": litellm}.__getitem__)
        generated_lists.write(file, {"names": names, "safe": names, "none": []})
    assert generated_lists.read(file, in_each=("safe",)) == {
        "names": frozenset({"a", "b", "c"}),
        "safe": frozenset({"a"}),
        "none": frozenset(),
    }
    assert generated_lists.of_installed(file) == {"names": ["a", "c"], "safe": ["a", "c"], "none": []}
    monkeypatch.setattr(generated_lists, "version", {"litellm": "9"}.__getitem__)
    assert generated_lists.of_installed(file) == {}
