"""What the pages refer to exists: links, files, commands, tox environments, scenarios, clauses, settings."""

from __future__ import annotations

import configparser
import re
import tomllib
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import click
import pytest
from ruamel.yaml import YAML

import parity.cli
import parity.kit
import proxies.cli
import proxies.config
from parity.catalogue.loading import Catalogue
from parity.judging.ledger import Ledger
from tests.docs.blocks import blocks
from tests.docs.contract import clauses
from tests.docs.pages import (
    PAGES,
    anchors,
    commands,
    environments,
    extras,
    links,
    modules,
    places,
    shown,
)
from tests.root import ROOT

GROUPS: dict[str, click.Command] = {"parity": parity.cli.main, "memory-proxy": proxies.cli.main}
FILES = {
    path.relative_to(ROOT).as_posix()
    for folder in ("proxies", "parity", "tests", "docs", "examples")
    for path in (ROOT / folder).rglob("*.py")
}
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())


@pytest.fixture(scope="module")
def scenarios() -> set[str]:
    """The ids of the built-in scenarios, and their templates'."""
    return {name for each in Catalogue.load() for name in (each.id, each.template)}


def declared_environments() -> set[str]:
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini", encoding="utf-8")
    return {name.removeprefix("testenv:") for name in tox.sections() if name.startswith("testenv:")}


def test_the_doors_are_there() -> None:
    """The pages that a newcomer looks for have their usual names, and README leads to them."""
    doors = {
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "docs/glossary.md",
        "docs/decisions/README.md",
    }
    linked = {link.path for link in links(ROOT / "README.md")}
    assert {door for door in doors if ROOT / door not in linked} == set()


@each_page
def test_every_link_resolves(page: Path) -> None:
    """A relative link leads to a file or folder, and its anchor to a heading there."""
    for link in links(page):
        assert link.path.exists(), link.path
        if link.anchor:
            assert link.path.suffix == ".md", link
            assert link.anchor in anchors(link.path), link.anchor


@each_page
def test_every_path_exists(page: Path) -> None:
    """A path of the repository, and a Python file that is named without its folder, is there."""
    assert {place for place in places(page) if not (ROOT / place).exists()} == set()
    ours = ("", "proxies/", "parity/", "tests/")
    known = {file.removeprefix(prefix) for file in FILES for prefix in ours}
    assert {
        name for name in modules(page) if not any(file == name or file.endswith(f"/{name}") for file in known)
    } == set()


@each_page
def test_every_tox_environment_exists(page: Path) -> None:
    """What a page says to run with tox is in tox.ini."""
    assert environments("\n".join(shown(page))) <= declared_environments()


def test_every_tox_environment_is_explained() -> None:
    """CONTRIBUTING.md says of each environment when to run it."""
    assert environments("\n".join(shown(ROOT / "CONTRIBUTING.md"))) == declared_environments()


@each_page
def test_every_extra_exists(page: Path) -> None:
    """What a page says to install is in pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert extras(page) <= set(project["optional-dependencies"])


def mistakes(words: list[str]) -> Iterator[str]:
    """What a command line names that the command doesn't have."""
    name, *rest = words
    command = GROUPS[name]
    while isinstance(command, click.Group):
        options = [word for word in rest if word.startswith("-")]
        if not rest or rest[0].startswith("-"):
            known = {option for parameter in command.params for option in parameter.opts} | {"--help", "-h"}
            yield from (option for option in options if option not in known)
            return
        found = command.get_command(click.Context(command), rest[0])
        if found is None:
            yield rest[0]
            return
        command, rest = found, rest[1:]
    known = {option for parameter in command.params for option in parameter.opts} | {"--help", "-h"}
    for word in rest:
        if re.match(r"--?[a-z]", word) and word.partition("=")[0] not in known:
            yield word


@each_page
def test_every_command_exists(page: Path) -> None:
    """Each of our commands on a page has that subcommand and those options."""
    for words in commands(shown(page)):
        assert not list(mistakes(words)), " ".join(words)


@each_page
def test_every_module_that_is_run_exists(page: Path) -> None:
    """What a page says to run with `python -m` can be run."""
    for line in shown(page):
        for module in re.findall(r"\bpython3? -m ([\w.]+)", line):
            assert find_spec(module) is not None, module


@each_page
def test_every_scenario_in_a_command_exists(page: Path, scenarios: set[str]) -> None:
    """`parity show` and `parity probe` are shown with scenarios of the catalogue."""
    for words in commands(shown(page)):
        if words[1] in ("show", "probe"):
            for word in words[2:]:
                assert word.startswith("-") or word.isupper() or word in scenarios, word


def test_every_probe_of_the_ledger_names_a_scenario(scenarios: set[str]) -> None:
    """The evidence of an entry can be asked for as it stands there."""
    probes = [words for e in Ledger.load().entries for words in commands(iter([e.probe.partition(": ")[0]]))]
    assert len(probes) > 40
    assert [words for words in probes if words[2] not in scenarios or list(mistakes(words))] == []


@each_page
def test_every_scenario_that_is_shown_is_one(page: Path, tmp_path: Path) -> None:
    """A YAML block with an id is a scenario, and the clauses that it names are the contract's."""
    for number, block in enumerate(blocks(page, "yaml")):
        if re.match(r"id:", block.text):
            file = tmp_path / f"{number}.yaml"
            file.write_text(block.text, encoding="utf-8")
            (scenario,) = Catalogue.load([file])
            assert set(scenario.clauses) <= set(clauses())


def test_the_public_surface_is_shown_whole() -> None:
    """The reference has every name of the faces of `proxies`, and the kit's as a whole."""
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    named = set(re.findall(r":: ([\w.]+)", page))
    owed = {f"proxies.config.{name}" for name in proxies.config.__all__}
    owed |= {"proxies.binary.create_app", "proxies.sdk.create_app", "parity.kit"}
    assert owed - named == set()
    assert ":imported-members:" in page


def test_pre_commit_runs_the_pinned_ruff() -> None:
    """A commit is checked by the ruff that `tox -e lint` has."""
    hooks = YAML(typ="safe").load(ROOT / ".pre-commit-config.yaml")["repos"]
    pinned = re.search(r"^ruff==(\S+)$", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)
    assert pinned is not None
    assert [hook["rev"] for hook in hooks if "ruff" in hook["repo"]] == [f"v{pinned[1]}"]


def test_the_workflow_runs_what_everyone_runs() -> None:
    """The CI server's workflow calls .ci/run and checks nothing of its own."""
    jobs = YAML(typ="safe").load(ROOT / ".github" / "workflows" / "ci.yml")["jobs"]
    assert [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step] == [".ci/run"]


@pytest.mark.parametrize(
    "form", sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("[!c]*.yml")), ids=lambda form: form.stem
)
def test_issue_forms_are_forms(form: Path) -> None:
    """Each form has what the hosting platform asks for, and no id twice."""
    data = YAML(typ="safe").load(form)
    assert {"name", "description", "body"} <= set(data)
    ids = [field["id"] for field in data["body"] if field["type"] != "markdown"]
    assert len(ids) == len(set(ids)) > 0
    assert all(field["attributes"]["label"] for field in data["body"] if field["type"] != "markdown")


def test_the_checks_see_what_they_look_for(tmp_path: Path) -> None:
    """A dead link, a missing file, environment, subcommand, option and scenario are each found."""
    page = tmp_path / "page.md"
    page.write_text(
        "# One, *two*\n\n## One two\n\nSee [a](none.md), [b](#one-two-1), `proxies/none.py`, test_none.py and "
        "`parity/scenarios/THEME`.\n\n"
        "```console\nparity run && tox -e none,sdk\nA=1 parity shows x | head\nparity show none.x --nope\n```\n"
    )
    assert [link.path.name for link in links(page)] == ["none.md", "page.md"]
    assert anchors(page) == {"one-two", "one-two-1"}
    assert places(page) == {"proxies/none.py"}
    assert modules(page) == {"proxies/none.py", "test_none.py"}
    assert environments("\n".join(shown(page))) == {"none", "sdk"}
    found = list(commands(shown(page)))
    assert found == [["parity", "run"], ["parity", "shows", "x"], ["parity", "show", "none.x", "--nope"]]
    assert [list(mistakes(words)) for words in found] == [[], ["shows"], ["--nope"]]


def test_readme_shows_the_run_of_today() -> None:
    """The table and the verdict have the numbers of the catalogue as it is."""
    mocked = list(Catalogue.load().for_tier("mocked"))
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (verdict,) = re.findall(r"^PASS mocked .*$", readme, re.MULTILINE)
    cells, reported, count, identical, explained = map(int, re.findall(r"\d+", verdict)[:5])
    assert (cells, reported, count) == (2 * len(mocked), 2 * len(mocked), len(mocked))
    assert identical + explained == count
    for theme in ("auth", "chat"):
        of_theme = sum(scenario.id.startswith(f"{theme}.") for scenario in mocked)
        assert re.search(
            rf"^{theme} +{of_theme} +{of_theme}/{of_theme} +{of_theme}/{of_theme} ", readme, re.MULTILINE
        )
