"""Reading scenario files: templates, and every mistake with its place."""

from __future__ import annotations

import signal
import textwrap
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import SerializerFunctionWrapHandler, model_serializer

from parity.catalogue.loading import BUILT_IN, Catalogue, CatalogueError, fingerprint, json_schema, read_file
from parity.catalogue.scenario import Scenario
from proxies.support import yamlfile

PLAIN = """\
id: mine.plain
title: A promise.
client: [{json: {model: $model}}]
expect: {responses: [{status: 200}]}
"""

TEMPLATE = """\
id: mine.status
title: The provider's $status is passed on.
provider:
  - status: $status
    json: {error: {message: "It was $status, $word", code: $code}}
cases:
  "429": {status: 429, word: slow down, code: null}
  "500": {status: 500, word: broken, code: [1, {a: b}]}
client: [{json: {model: $model, text: "$$5 for ${word}s"}}]
expect:
  responses: [{status: $status}]
"""


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    return path


def problems(path: Path) -> list[str]:
    with pytest.raises(CatalogueError) as caught:
        Catalogue.load([path])
    assert str(caught.value) == "\n".join(caught.value.problems)
    return caught.value.problems


def test_one_scenario(tmp_path: Path) -> None:
    """A file without cases is one scenario, its alias filled in."""
    (scenario,) = read_file(written(tmp_path, "a.yaml", PLAIN))
    assert scenario.id == "mine.plain"
    assert scenario.client[0].json_ == {"model": "mine.plain"}


def test_a_template_is_one_scenario_a_case(tmp_path: Path) -> None:
    """Values keep their type where the placeholder is all there is, and become text inside a text."""
    one, other = read_file(written(tmp_path, "a.yaml", TEMPLATE))
    assert [one.id, other.id] == ["mine.status[429]", "mine.status[500]"]
    assert one.template == other.template == "mine.status"
    assert one.title == "The provider's 429 is passed on."
    assert one.provider[0].status == 429
    assert one.provider[0].json_ == {"error": {"message": "It was 429, slow down", "code": None}}
    assert other.provider[0].json_ == {"error": {"message": "It was 500, broken", "code": [1, {"a": "b"}]}}
    assert one.client[0].json_ == {"model": "mine.status[429]", "text": "$5 for slow downs"}
    assert other.expect.responses[0].status == 500


def test_keys_are_filled_in_too(tmp_path: Path) -> None:
    """A placeholder may be the name of a header."""
    text = PLAIN.replace("[{json: {model: $model}}]", "[{headers: {$name: v}}]") + "cases: {a: {name: x-b}}\n"
    (scenario,) = read_file(written(tmp_path, "a.yaml", text))
    assert scenario.client[0].headers == {"x-b": "v"}


def test_load_walks_folders_and_orders_by_id(tmp_path: Path) -> None:
    """Every *.yaml and *.yml below a folder is read, a file can be named alone, and other files are left."""
    tree = tmp_path / "tree"
    written(tree, "z/a.yml", PLAIN.replace("mine.plain", "mine.a"))
    written(tree, "a/z.yaml", PLAIN.replace("mine.plain", "mine.z"))
    written(tree, "notes.txt", "no scenario")
    alone = written(tmp_path, "alone.yaml", PLAIN.replace("mine.plain", "mine.m"))
    catalogue = Catalogue.load([tree, alone])
    assert [s.id for s in catalogue] == ["mine.a", "mine.m", "mine.z"]
    assert len(catalogue) == 3
    assert catalogue.sources["mine.a"] == tree / "z" / "a.yml"
    assert catalogue["mine.m"].id == "mine.m"


def test_select_and_for_tier(tmp_path: Path) -> None:
    """A part of a catalogue keeps the order and the sources of its scenarios, and no others."""
    for name, tiers in (("a", "[live]"), ("b", "[mocked, live]"), ("c", "[mocked]")):
        written(tmp_path, f"{name}.yaml", PLAIN.replace("mine.plain", f"mine.{name}") + f"tiers: {tiers}\n")
    catalogue = Catalogue.load([tmp_path])
    assert [s.id for s in catalogue.for_tier("live")] == ["mine.a", "mine.b"]
    assert [s.id for s in catalogue.for_tier("mocked")] == ["mine.b", "mine.c"]
    selected = catalogue.select(["mine.c", "mine.a", "mine.unknown"])
    assert [s.id for s in selected] == list(selected.sources) == ["mine.a", "mine.c"]


def test_hash_is_of_the_content(tmp_path: Path) -> None:
    """Names of files, order of keys and comments don't change the hash; any change of a scenario does."""
    original = Catalogue.load([written(tmp_path, "one/a.yaml", PLAIN)])
    lines = PLAIN.splitlines(keepends=True)
    same = Catalogue.load([written(tmp_path, "two/b.yml", "# said first\n" + "".join(reversed(lines)))])
    other = Catalogue.load([written(tmp_path, "three/a.yaml", PLAIN.replace("200", "201"))])
    assert original.hash == same.hash
    assert original.hash != other.hash
    assert fingerprint(original["mine.plain"]) == fingerprint(same["mine.plain"])
    assert len(original.hash) == 64


def test_a_field_that_came_later_counts_where_it_is_used(tmp_path: Path) -> None:
    """Recordings outlive a new optional field of the model, unless their scenario uses it."""
    plain = Catalogue.load([written(tmp_path, "a.yaml", PLAIN)])["mine.plain"]
    default = Catalogue.load([written(tmp_path, "b.yaml", PLAIN + "memory: []\n")])["mine.plain"]
    used = Catalogue.load([written(tmp_path, "c.yaml", PLAIN + "memory: [{json: {}}]\n")])["mine.plain"]
    assert fingerprint(plain) == fingerprint(default) != fingerprint(used)
    assert "memory" not in plain.model_dump(by_alias=True)


def test_hash_tells_null_from_absent(tmp_path: Path) -> None:
    """A null inside a body counts: what is sent is another body."""
    one = written(tmp_path, "a.yaml", PLAIN.replace("{model: $model}", "{model: $model, stop: null}"))
    other = written(tmp_path, "b.yaml", PLAIN)
    assert Catalogue.load([one]).hash != Catalogue.load([other]).hash


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[1, 2]", ":1: a scenario file holds a mapping"),
        ("", ":1: a scenario file holds a mapping"),
        ("id: [", ":"),
        (PLAIN + "titel: x\n", ":5: titel: "),
        (PLAIN.replace("200", "two hundred"), ":4: expect.responses[0].status: "),
        (PLAIN.replace("mine.plain", "Mine"), ":1: id: "),
        (PLAIN.replace("[{status: 200}]", "[]"), "expect.responses needs one entry a client request"),
        (PLAIN + "cases: {}\n", ":5: cases: "),
        (PLAIN + "cases: {a: 7}\n", ":5: cases.a: "),
        (PLAIN.replace("$model", "$modle"), ":3: client[0].json.model: $modle is no value"),
        (PLAIN.replace("$model", "a $ b"), ":3: client[0].json.model: "),
    ],
)
def test_mistakes_are_named_with_their_place(tmp_path: Path, text: str, complaint: str) -> None:
    """Each mistake is one sentence that starts with file and line."""
    path = written(tmp_path, "a.yaml", text)
    (problem,) = problems(path)
    assert problem.startswith(f"{path}:")
    assert complaint in problem


def test_a_missing_value_names_case_and_choices(tmp_path: Path) -> None:
    """The case that lacks the value is named, and what it has."""
    (problem,) = problems(written(tmp_path, "a.yaml", TEMPLATE.replace("word: broken, ", "")))
    assert (
        ":5: provider[0].json.error.message: $word is no value of the case; it has code, model, status"
        in problem
    )
    assert problem.endswith("(case '500')")


def test_a_dollar_sign_is_explained(tmp_path: Path) -> None:
    """A lone dollar sign tells how to write one."""
    (problem,) = problems(written(tmp_path, "a.yaml", PLAIN.replace("$model", "'5 $'")))
    assert "write $$ for a dollar sign" in problem


def test_all_files_are_read_before_complaining(tmp_path: Path) -> None:
    """One run names the mistakes of every file."""
    written(tmp_path, "a.yaml", PLAIN + "one: 1\n")
    written(tmp_path, "b.yaml", PLAIN + "two: 2\n")
    assert len(problems(tmp_path)) == 2


def test_an_id_may_be_taken_once(tmp_path: Path) -> None:
    """Two files with one id are refused, both named."""
    one, other = written(tmp_path, "a.yaml", PLAIN), written(tmp_path, "b.yaml", PLAIN)
    assert problems(tmp_path) == [f"{other}: id 'mine.plain' is taken by {one}"]


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("gone", "no such file or folder"),
        ("", "holds no *.yaml file and no *.yml file"),
        ("notes.txt", "is no scenario file, whose name ends in .yaml or .yml"),
    ],
)
def test_nothing_to_read_is_a_mistake(tmp_path: Path, name: str, complaint: str) -> None:
    """A path that isn't there, a folder without scenarios and a file of another kind are told by their names."""
    written(tmp_path, "notes.txt", PLAIN)
    (problem,) = problems(tmp_path / name)
    assert problem.startswith(f"{tmp_path / name}: {complaint}")


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("expect:", "expct:", "expct: unknown key; did you mean 'expect'?"),
        (
            "[{status: 200}]",
            "[{status: 200}], provider: {cals: 1}",
            "expect.provider.cals: unknown key; did you mean 'calls'?",
        ),
        (
            "[{status: 200}]",
            "[{status: 200, stream: {txt: Hello}}]",
            "expect.responses[0].stream.txt: unknown key; did you mean 'text'?",
        ),
        ("[{json: ", "[{jsn: ", "client[0].jsn: unknown key; did you mean 'json'?"),
        ("title:", "case: {}\ntitle:", "case: unknown key; did you mean 'cases'?"),
    ],
)
def test_an_unknown_key_gets_a_guess(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    """A mistyped key is told the nearest one that is known where it stands."""
    found = problems(written(tmp_path, "a.yaml", PLAIN.replace(old, new)))
    assert any(problem.endswith(complaint) for problem in found), found


@pytest.mark.parametrize("wrong", ["Mine.plain", "mine", "mine.", "mine.a-b", "mine.plain[]", "mine.a[b][c]"])
def test_a_wrong_id_is_told_what_one_looks_like(tmp_path: Path, wrong: str) -> None:
    """The complaint is in words and shows the id; no regular expression has to be read."""
    path = written(tmp_path, "a.yaml", PLAIN.replace("mine.plain", f"'{wrong}'"))
    assert problems(path) == [
        f"{path}:1: id: must look like theme.name, or theme.name[case]: two or more words of lower-case letters, "
        f"digits and _ with dots between them, then perhaps a case in brackets; not {wrong!r}"
    ]


def test_a_missing_id_is_called_missing(tmp_path: Path) -> None:
    """A file without an id, with cases or without, is told that, not that its id looks wrong."""
    for text in (PLAIN, TEMPLATE):
        path = written(tmp_path, "a.yaml", "".join(text.splitlines(keepends=True)[1:]))
        assert problems(path) == [f"{path}:1: id: is missing; add it"]


def test_a_ctrl_c_while_a_scenario_is_dumped_is_a_ctrl_c(tmp_path: Path) -> None:
    """What comes during the fingerprint's dump is no fault of the scenario."""

    class Interrupted(Scenario):
        @model_serializer(mode="wrap")
        def _without_unused(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
            signal.raise_signal(signal.SIGINT)
            return dict(handler(self))

    (plain,) = read_file(written(tmp_path, "a.yaml", PLAIN))
    interrupted = Interrupted.model_validate(plain.model_dump(by_alias=True))
    with pytest.raises(KeyboardInterrupt):
        fingerprint(interrupted)


def test_schema_accepts_every_built_in_file() -> None:
    """The published schema is a valid one, and no built-in scenario file without placeholders breaks it."""
    schema = json_schema()
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    checked = 0
    for path in BUILT_IN.rglob("*.yaml"):
        data = yamlfile.load(path).data
        if "cases" not in data:
            checked += 1
            assert list(validator.iter_errors(data)) == [], path
    assert checked > 20


@pytest.mark.parametrize("change", [{"titel": "x"}, {"client": []}, {"id": "Mine"}, {"cases": {}}])
def test_schema_refuses_what_the_reader_refuses(tmp_path: Path, change: dict[str, Any]) -> None:
    """An editor that knows the schema marks the same mistakes."""
    data = {**yamlfile.load(written(tmp_path, "a.yaml", PLAIN)).data, **change}
    assert list(Draft202012Validator(json_schema()).iter_errors(data))


def test_reading_again_gives_the_same(tmp_path: Path) -> None:
    """A scenario survives its own dump, so its fingerprint speaks of all of it."""
    for scenario in read_file(written(tmp_path, "a.yaml", TEMPLATE)):
        dumped = scenario.model_dump(mode="json", by_alias=True)
        assert Scenario.model_validate(dumped) == scenario
