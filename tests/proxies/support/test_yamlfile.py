from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from proxies.support.yamlfile import (
    MAX_BYTES,
    YamlError,
    YamlFile,
    did_you_mean,
    dotted_path,
    explain,
    load,
    loads,
)

TEXT = """\
# a comment
base: &base
  x: 1
  since: 2023-06-01
item:
  <<: *base
  word: on
list:
  - text: |
      two
      lines
    mode: 010
  - *base
"""


def test_data_is_plain_yaml_1_2() -> None:
    """Anchors, merges and blocks come out as plain Python; dates and `on` stay text."""
    assert loads(TEXT, "f.yaml").data == {
        "base": {"x": 1, "since": "2023-06-01"},
        "item": {"word": "on", "x": 1, "since": "2023-06-01"},
        "list": [{"text": "two\nlines\n", "mode": 10}, {"x": 1, "since": "2023-06-01"}],
    }


def test_yes_no_reads_bare_words_as_pyyaml_does() -> None:
    """With yes_no the bare words are booleans, the quoted ones text."""
    data = loads("a: on\nb: No\nc: 'yes'\nd: y", "f.yaml", yes_no=True).data
    assert data == {"a": True, "b": False, "c": "yes", "d": "y"}


@pytest.mark.parametrize(
    ("loc", "line"),
    [
        ((), 2),
        (("item",), 5),
        (("item", "word"), 7),
        (("item", "x"), 3),
        (("list", 0, "mode"), 12),
        (("list", 0, "absent", "deeper"), 9),
        (("list", 9), 8),
        (("list", 1, "x"), 3),
        (("list", "SomeUnionMember", 0, "text"), 9),
    ],
)
def test_line_of_names_the_nearest_place(loc: tuple[str | int, ...], line: int) -> None:
    """A key's own line; of what isn't there, its nearest ancestor's."""
    assert loads(TEXT, "f.yaml").line_of(loc) == line


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb:\n  c: 1\n  c: 2", "f.yaml:4: the key 'c' is there twice, first in line 3"),
        ("a: [1,\n", "f.yaml:2: "),
        ("a: &a [*a]", "f.yaml:1: an anchor can't hold an alias to itself"),
        ("a: *b", "f.yaml:1: "),
        ("a: 1\nb: !!python/object:os.system x", "f.yaml:2: the tag !!python/object:os.system"),
        ("a: !!binary aGk=", "f.yaml:1: the tag !!binary"),
        ("- 1\n---\n- 2", "f.yaml:2: "),
        ("? [a]\n: b", "f.yaml:1: a key must be"),
        ("a: 1\n<<: 3", "f.yaml:2: `<<` takes"),
        ("ok: 1\nb: \x01", "f.yaml:2: has a character"),
        ("a: " + "[" * 1500, "f.yaml:1: is nested too deeply: 100 lists and mappings"),
    ],
)
def test_what_is_no_plain_yaml_is_refused_with_its_line(text: str, message: str) -> None:
    """Syntax errors, doubles and exotic tags name file and line."""
    with pytest.raises(YamlError) as caught:
        loads(text, "f.yaml")
    assert str(caught.value).startswith(message)


def bomb(line: str, levels: int = 12) -> str:
    """Aliases of aliases, `line` once for each level: `{below}` is the level below."""
    return "a0: &a0 {k0: [x, x, x, x, x, x, x, x, x, x]}\n" + "".join(
        line.format(n=n, below=f"*a{n - 1}") for n in range(1, levels)
    )


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (bomb("a{n}: &a{n} [" + ", ".join(["{below}"] * 9) + "]\n"), 5),
        (bomb("a{n}: &a{n} {{l: {below}, r: {below}, m: {below}, o: {below}}}\n"), 7),
        (bomb("a{n}: &a{n} {{<<: [{below}, {below}, {below}, {below}], k{n}: {below}}}\n"), 6),
        ("a: 1\nb: " + "[" * 20_000 + "]" * 20_000, 2),
        ("a: 1\nb: " + "{c: " * 20_000 + "}" * 20_000, 2),
        ("a: 1\nb:\n" + "- " * 5_000 + "1\n", 3),
        ("".join(f"{' ' * n}a:\n" for n in range(400)), 100),
    ],
    ids=["lists", "mappings", "merges", "brackets", "braces", "dashes", "indents"],
)
def test_a_bomb_is_refused_with_its_line(text: str, line: int) -> None:
    """Little text that stands for gigabytes, or is nested without end, costs no more than it says."""
    with pytest.raises(YamlError) as caught:
        loads(text, "f.yaml")
    assert caught.value.line == line, caught.value
    assert "values with its aliases" in str(caught.value) or "nested too deeply: 100" in str(caught.value)


def test_aliases_in_measure_are_fine() -> None:
    """The same block used a thousand times is a thousand blocks."""
    items = ", ".join(["*a"] * 1000)
    assert len(loads(f"a: &a {{x: [1, 2, 3]}}\nb: [{items}]", "f.yaml").data["b"]) == 1000


@pytest.mark.parametrize("filler", ["#", "ü"])
def test_a_large_file_is_refused(tmp_path: Path, filler: str) -> None:
    """It isn't read any further than the limit, wherever that cuts a character."""
    file = tmp_path / "large.yaml"
    file.write_text("#" + filler * MAX_BYTES)
    with pytest.raises(YamlError, match=r"large\.yaml: is larger than 4 MiB"):
        load(file)


def test_unreadable_files_are_yaml_errors(tmp_path: Path) -> None:
    """A missing file, a folder and wrong bytes all raise YamlError."""
    (tmp_path / "latin.yaml").write_bytes(b"a: \xe9")
    for name in ("absent.yaml", ".", "latin.yaml"):
        with pytest.raises(YamlError, match=r"can't be read|not UTF-8"):
            load(tmp_path / name)


def test_an_empty_file_is_null(tmp_path: Path) -> None:
    """Nothing, or nothing but comments, is None, and line 1 is to blame."""
    (tmp_path / "f.yaml").write_text("# nothing\n")
    file = load(tmp_path / "f.yaml")
    assert (file.data, file.line_of(("a",))) == (None, 1)


class Cat(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    kind: Literal["cat"]
    whiskers: int = 0


class Dog(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    kind: Literal["dog"]
    barks: bool = False


class House(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    pets: list[Annotated[Cat | Dog, Field(discriminator="kind")]] = []
    rooms: dict[str, Cat | None] = {}
    api_key: Literal["none"] = "none"
    json_: str | None = Field(None, alias="json")


def _explained(text: str) -> list[str]:
    file = loads(text, "f.yaml")
    with pytest.raises(ValidationError) as caught:
        House.model_validate(file.data)
    return explain(caught.value, file, House)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "pets:\n  - kind: cat\n    wiskers: 3",
            "f.yaml:3: pets[0].cat.wiskers: unknown key; did you mean 'whiskers'?",
        ),
        ("petz: []", "f.yaml:1: petz: unknown key; did you mean 'pets'?"),
        ("jsn: ''", "f.yaml:1: jsn: unknown key; did you mean 'json'?"),
        (
            "rooms:\n  a: {kind: cat, zzz: 1}",
            "f.yaml:2: rooms.a.zzz: unknown key; known here: kind, whiskers",
        ),
        ("pets: 3", "f.yaml:1: pets: must be a list, not a whole number"),
        (
            "pets:\n  - {kind: dog, barks: 1}",
            "f.yaml:2: pets[0].dog.barks: must be true or false, not a whole number",
        ),
        ("rooms:\n  a:\n    whiskers: 1", "f.yaml:2: rooms.a.kind: is missing; add it"),
        ("api_key: hunter22", "f.yaml:1: api_key: must be 'none', not '***'"),
    ],
)
def test_explain_says_where_and_what_would_be_right(text: str, message: str) -> None:
    """Every validation error becomes one sentence with file, line and key; secrets are masked."""
    assert _explained(text) == [message]


def test_explain_lists_all_in_the_order_of_the_file() -> None:
    """Two mistakes are two sentences, the upper one first."""
    lines = [text.partition(": ")[0] for text in _explained("rooms: 1\npets: 2\nzzz: 3")]
    assert lines == ["f.yaml:1", "f.yaml:2", "f.yaml:3"]


def test_explain_finds_data_that_stands_deeper_in_the_file() -> None:
    """`at` shifts every location."""
    file: YamlFile = loads("outer:\n  - pets: 1", "f.yaml")
    with pytest.raises(ValidationError) as caught:
        House.model_validate(file.data["outer"][0])
    assert explain(caught.value, file, House, at=("outer", 0)) == [
        "f.yaml:2: outer[0].pets: must be a list, not a whole number"
    ]


def test_did_you_mean_without_a_near_word_lists_the_few_that_are_known() -> None:
    """A guess when one is near, else the list while it is short."""
    assert did_you_mean("colour", ["color", "size"]) == "did you mean 'color'?"
    assert did_you_mean("zzz", ["color", "size"]) == "known here: color, size"
    assert did_you_mean("zzz", [f"word{i}" for i in range(16)]) == ""


def test_dotted_path() -> None:
    """Keys by dots, indexes in brackets."""
    assert dotted_path(("a", "b", 0, "c")) == "a.b[0].c"
