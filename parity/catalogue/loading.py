"""Loads scenarios from YAML files: expands templates, and names every mistake with file and line."""

from __future__ import annotations

import hashlib
import json
import weakref
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

from pydantic import Field, TypeAdapter, ValidationError

from parity.catalogue.parsed import Parsed
from parity.catalogue.scenario import Json, Part, Scenario, Tier
from parity.support.files import cache_folder
from parity.support.interrupts import held_back

if TYPE_CHECKING:
    from proxies.support.yamlfile import YamlFile

BUILT_IN = Path(__file__).parents[1] / "scenarios"
SUFFIXES = (".yaml", ".yml")


class CatalogueError(Exception):
    """Reports that scenarios can't be used; `problems` holds one sentence each, with file and line."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Cases(Part):
    """Holds `cases`, the one key that a template has beyond a scenario's."""

    cases: dict[str, dict[str, Json]] = Field(
        min_length=1, description="case name -> values for the `$name` placeholders"
    )


class _Written(Scenario, Cases):
    """Holds every key that a file may have, to guess which one an unknown key was meant to be."""


@dataclass(frozen=True)
class Catalogue:
    """Holds scenarios in the order of their ids, and the file that each came from."""

    scenarios: tuple[Scenario, ...]
    sources: Mapping[str, Path]

    @classmethod
    def load(cls, paths: Iterable[Path] = (BUILT_IN,)) -> Catalogue:
        """Read every `*.yaml` below `paths` (folders or files). Raises `CatalogueError`."""
        problems: list[str] = []
        found: dict[str, tuple[Scenario, Path]] = {}
        for file in _files(paths, problems):
            try:
                scenarios = list(read_file(file))
            except CatalogueError as error:
                problems += error.problems
                continue
            for scenario in scenarios:
                if scenario.id in found:
                    problems.append(f"{file}: id {scenario.id!r} is taken by {found[scenario.id][1]}")
                found[scenario.id] = (scenario, file)
        _store(cache_folder()).keep()
        if problems:
            raise CatalogueError(problems)
        ordered = sorted(found)
        return cls(tuple(found[i][0] for i in ordered), {i: found[i][1] for i in ordered})

    def __iter__(self) -> Iterator[Scenario]:
        return iter(self.scenarios)

    def __len__(self) -> int:
        return len(self.scenarios)

    def __getitem__(self, scenario_id: str) -> Scenario:
        return self._by_id[scenario_id]

    @cached_property
    def _by_id(self) -> dict[str, Scenario]:
        return {scenario.id: scenario for scenario in self.scenarios}

    def select(self, ids: Iterable[str]) -> Catalogue:
        """Return a catalogue of the scenarios with these ids alone."""
        wanted = set(ids)
        return Catalogue(
            tuple(s for s in self.scenarios if s.id in wanted),
            {i: path for i, path in self.sources.items() if i in wanted},
        )

    def for_tier(self, tier: Tier) -> Catalogue:
        """Return a catalogue of the scenarios that can be played in `tier`."""
        return self.select(s.id for s in self.scenarios if tier in s.tiers)

    @cached_property
    def hash(self) -> str:
        """Return the sha256 over the content of all scenarios; names and layout of their files don't count."""
        return hashlib.sha256("\n".join(fingerprint(s) for s in self.scenarios).encode()).hexdigest()


def fingerprint(scenario: Scenario) -> str:
    """Return the sha256 of one scenario's content; an optional field in `ADDED` counts only where it is set."""
    key = id(scenario)
    if (known := _FINGERPRINTS.get(key)) is not None and known[0]() is scenario:
        return known[1]
    with held_back():  # pydantic would make a fault of its own out of a Ctrl-C
        dumped = scenario.model_dump(mode="json", by_alias=True)
    made = hashlib.sha256(json.dumps(dumped, sort_keys=True).encode()).hexdigest()
    _FINGERPRINTS[key] = weakref.ref(scenario, lambda _: _FINGERPRINTS.pop(key, None)), made
    return made


# By the scenario's place in memory: it has no hash of its own, and what it was copied from would hand on an attribute.
_FINGERPRINTS: dict[int, tuple[weakref.ref[Scenario], str]] = {}


def json_schema() -> dict[str, Any]:
    """Return the JSON schema of a scenario file: of one scenario, or of a template with `cases`."""
    schema = TypeAdapter(Scenario).json_schema(by_alias=True)
    schema = _or_placeholder(schema)
    schema["properties"]["cases"] = Cases.model_json_schema()["properties"]["cases"]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "Scenario file"}


PLACEHOLDER = {"type": "string", "pattern": r"^\$(\w+|\{\w+\})$"}


def _or_placeholder(schema: Any) -> Any:
    """Return a template's schema: `$name` may stand in place of every value that isn't free text."""
    done: dict[str, Any] = {}
    for key, value in schema.items():
        if key in ("properties", "$defs"):
            done[key] = {name: _or_placeholder(inner) for name, inner in value.items()}
        elif key in ("items", "additionalProperties") and isinstance(value, dict):
            done[key] = _or_placeholder(value)
        elif key in ("anyOf", "oneOf"):
            done[key] = [*map(_or_placeholder, value), PLACEHOLDER]
        else:
            done[key] = value
    free_text = done.get("type") == "string" and not done.keys() & {"const", "enum", "pattern"}
    typed = "type" in done or "$ref" in done
    return done if free_text or not typed or "properties" in done else _either(done)


def _either(schema: dict[str, Any]) -> dict[str, Any]:
    about: dict[str, Any] = {
        key: schema.pop(key) for key in ("title", "description", "default") if key in schema
    }
    return {**about, "anyOf": [schema, PLACEHOLDER]}


def _files(paths: Iterable[Path], problems: list[str]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            files = sorted(p for suffix in SUFFIXES for p in path.rglob(f"*{suffix}"))
            if not files:
                problems.append(
                    f"{path}: holds no *.yaml file and no *.yml file; a scenario folder needs at least one"
                )
            yield from files
        elif path.is_file() and path.suffix not in SUFFIXES:
            problems.append(f"{path}: is no scenario file, whose name ends in .yaml or .yml; rename it")
        elif path.is_file():
            yield path
        else:
            problems.append(f"{path}: no such file or folder")


def read_file(path: Path) -> tuple[Scenario, ...]:
    """Read one file's scenario, or a template's, one for each case. Raises `CatalogueError`."""
    try:
        stat = path.stat()
    except OSError as error:
        raise CatalogueError([str(error)]) from None
    return _read_file(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=4096)  # a run asks for each file several times, and finding lines in YAML is slow
def _read_file(path: Path, _mtime_ns: int, _size: int) -> tuple[Scenario, ...]:
    return tuple(_scenarios(path))


def _scenarios(path: Path) -> Iterator[Scenario]:
    data = _data(path)
    if not isinstance(data, dict):
        raise CatalogueError([f"{path}:1: a scenario file holds a mapping with id, title, client, expect"])
    document = dict(data)
    base_id = document.get("id")
    try:
        cases = Cases(cases=document.pop("cases")).cases if "cases" in document else {"": {}}
    except ValidationError as error:
        raise _explained(error, path) from None
    for case, values in cases.items():
        full_id = f"{base_id}[{case}]" if case else base_id
        try:
            filled = _fill(document, {**values, "model": full_id})
        except _UnfilledError as error:
            where = f" (case {case!r})" if case else ""
            raise CatalogueError([f"{_parsed(path).where(error.loc)}: {error}{where}"]) from None
        try:
            yield Scenario.model_validate({**filled, "id": full_id} if "id" in document else filled)
        except ValidationError as error:
            raise _explained(error, path, _Written) from None


def _data(path: Path) -> Any:
    """Return what the file at `path` says. Raises `CatalogueError`."""
    if not path.is_relative_to(BUILT_IN):
        return _parsed(path).data  # somebody's own file may hold secrets, which nothing of ours copies
    store = _store(cache_folder())
    try:
        content = path.read_bytes()
    except OSError:
        content = b""
    if (known := store.get(content)) is not None:
        return known
    data = _parsed(path).data
    store.put(content, data)
    return data


def _parsed(path: Path) -> YamlFile:
    from proxies.support import yamlfile  # with its parsers; most often the store knows the file

    try:
        return yamlfile.load(path)
    except (yamlfile.YamlError, OSError) as error:
        raise CatalogueError([str(error)]) from None


def _explained(error: ValidationError, path: Path, model: type[Part] | None = None) -> CatalogueError:
    from proxies.support import yamlfile

    return CatalogueError(yamlfile.explain(error, _parsed(path), model))


@lru_cache(maxsize=8)
def _store(folder: Path) -> Parsed:
    return Parsed(folder)


class _UnfilledError(Exception):
    def __init__(self, message: str, loc: tuple[Any, ...]) -> None:
        super().__init__(message)
        self.loc = loc


def _fill(value: Any, values: Mapping[str, Any], loc: tuple[Any, ...] = ()) -> Any:
    """Replace `$name`: a string that is nothing else becomes the value with its type; other strings take its
    text.
    """
    if isinstance(value, dict):
        return {_fill(k, values, (*loc, k)): _fill(v, values, (*loc, k)) for k, v in value.items()}
    if isinstance(value, list):
        return [_fill(item, values, (*loc, index)) for index, item in enumerate(value)]
    if not isinstance(value, str) or "$" not in value:
        return value
    try:
        whole = Template.pattern.fullmatch(value)
        if whole and (name := whole["named"] or whole["braced"]):
            return values[name]
        return Template(value).substitute(values)
    except KeyError as error:
        has = ", ".join(sorted(values))
        raise _UnfilledError(f"${error.args[0]} is no value of the case; it has {has}", loc) from None
    except ValueError as error:
        raise _UnfilledError(f"{error}; write $$ for a dollar sign", loc) from None
