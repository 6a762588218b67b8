"""The store of parsed scenario files: what it says is what the parser says, or it says nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from parity.catalogue import loading
from parity.catalogue.loading import Catalogue, CatalogueError
from parity.catalogue.parsed import NAME, Parsed
from proxies.support import yamlfile

TEXT = """\
id: a.b
title: It is there.
clauses: [chat.forward]
provider: [{json: {}}]
client: [{json: {model: $model, messages: []}}]
expect: {responses: [{status: 200}]}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder, that a catalogue uses; what is in the folder beside it counts as built in."""
    monkeypatch.setattr(loading, "BUILT_IN", tmp_path)
    monkeypatch.setenv("PARITY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def forget() -> None:
    """Be as a process that starts."""
    loading._read_file.cache_clear()
    loading._store.cache_clear()


def test_a_known_content_is_not_parsed_again(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The catalogue of the second process is that of the first, and the parser isn't asked."""
    file = tmp_path / "one.yaml"
    file.write_text(TEXT)
    forget()
    first = Catalogue.load([file])
    forget()

    def parsed(path: Path) -> None:
        raise AssertionError(f"{path} is parsed again")

    monkeypatch.setattr(yamlfile, "load", parsed)
    assert Catalogue.load([file]) == first
    forget()


def test_a_mistake_has_its_line_although_the_content_is_known(folder: Path, tmp_path: Path) -> None:
    """A file that is YAML, but no scenario, is complained about in the same words each time."""
    file = tmp_path / "one.yaml"
    file.write_text(TEXT.replace("title:", "tite:"))
    said = []
    for _ in range(2):
        forget()
        with pytest.raises(CatalogueError) as failure:
            Catalogue.load([file])
        said.append(failure.value.problems)
    forget()
    assert said[0] == said[1]
    assert f"{file}:2: tite: unknown key; did you mean 'title'?" in said[0]


def test_somebodys_own_file_is_not_kept(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Its headers may hold keys, so the store says nothing of it."""
    file = tmp_path_factory.mktemp("own") / "one.yaml"
    file.write_text(TEXT)
    forget()
    Catalogue.load([file])
    forget()
    assert not folder.exists()


def test_what_json_would_change_is_not_kept(tmp_path: Path) -> None:
    """A key that is a number would come back as a text."""
    store = Parsed(tmp_path)
    store.put(b"a", {"x": 1})
    store.put(b"b", {1: "x"})
    store.put(b"c", {"x": float("nan")})
    store.keep()
    again = Parsed(tmp_path)
    assert [again.get(content) for content in (b"a", b"b", b"c")] == [{"x": 1}, None, None]


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"parser": "of another version", "files": {}}', "null"]
)
def test_a_damaged_store_counts_as_empty(tmp_path: Path, text: str) -> None:
    """Whatever is wrong with it, the files are parsed."""
    (tmp_path / NAME).write_text(text)
    assert Parsed(tmp_path).get(b"a") is None


def test_what_nobody_asks_for_is_forgotten(tmp_path: Path) -> None:
    """The store doesn't grow with every edit of a file; where nothing is new it isn't written."""
    store = Parsed(tmp_path)
    store.put(b"old", {"x": 1})
    store.put(b"kept", {"x": 2})
    store.keep()
    store = Parsed(tmp_path)
    assert store.get(b"kept") == {"x": 2}
    store.keep()
    assert len(json.loads((tmp_path / NAME).read_text())["files"]) == 2
    store.put(b"new", {"x": 3})
    store.keep()
    again = Parsed(tmp_path)
    assert [again.get(content) for content in (b"old", b"kept", b"new")] == [None, {"x": 2}, {"x": 3}]


def test_a_folder_that_cannot_be_written_to_is_no_mistake(tmp_path: Path) -> None:
    """Nothing is kept, and that is all."""
    (tmp_path / "file").write_text("")
    store = Parsed(tmp_path / "file")
    store.put(b"a", {"x": 1})
    store.keep()
    assert store.get(b"a") == {"x": 1}
