"""Holds the ledger of known divergences: which differences and violations are allowed, and why."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from parity.catalogue.scenario import TIERS, Scenario, Tier
from parity.judging.contract import Violation
from parity.judging.diff import Difference
from parity.judging.jsondiff import ABSENT, canonical, same
from parity.judging.jsonpath import from_path, to_path
from proxies.support import yamlfile

BUILT_IN = Path(__file__).parents[1] / "divergences.yaml"


@dataclass(frozen=True)
class Subject:
    """Holds what a target is, whatever its name: an architecture, on a version of LiteLLM if that is known."""

    architecture: str
    litellm: str | None = None


class LedgerError(Exception):
    """Reports that the ledger can't be used; `problems` holds one sentence each, with file and line."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def _literal(path: str) -> str:
    if to_path(parts := from_path(path)) != path:
        raise ValueError(f"write the path as {to_path(parts)}")
    return path


Text = Annotated[str, Field(min_length=1, pattern=r"\S")]
Path_ = Annotated[
    str, AfterValidator(_literal), Field(description="a literal JSON path, as `parity show` prints it")
]
ScenarioId = Annotated[
    str,
    Field(
        pattern=r"^[a-z0-9_]+(\.[a-z0-9_]+)+(\[[^\[\]*?]+\])?$",
        description="a scenario, or a template for all of its cases; never a pattern",
    ),
]


def _range(text: str) -> str:
    try:
        SpecifierSet(text)
    except InvalidSpecifier as error:
        raise ValueError(f'{error}; write a range such as ">=1.106.2,<1.108"') from None
    return text


Range = Annotated[
    str,
    Field(min_length=1),
    AfterValidator(_range),
    Field(description='the versions of LiteLLM that do so, as PEP 440 writes them: ">=1.106.2,<1.108"'),
]


Severity = Literal["none", "cosmetic", "degraded", "broken"]
SEVERITIES: dict[Severity, str] = {
    "none": "a client can't notice",
    "cosmetic": "other words for the same",
    "degraded": "something that a client uses is lost",
    "broken": "what a client asked for fails, or isn't its own",
}
"""How much of what a client wanted it loses, from nothing up, and what each word means."""
Mender = Literal["litellm", "provider", "project"]


def _day(text: str) -> str:
    try:
        right = date.fromisoformat(text).isoformat() == text
    except ValueError:
        right = False
    if not right:
        raise ValueError("write a day of the calendar such as 2027-05-31")
    return text


Day = Annotated[str, AfterValidator(_day), Field(json_schema_extra={"format": "date"})]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    scenario: ScenarioId
    tiers: list[Tier] = Field(default_factory=lambda: list(TIERS), min_length=1)
    path: Path_
    clause: Text = Field(description="the clause of docs/contract.md that decides who is right")
    why: Text
    severity: Severity = Field(description=". ".join(f"{word}: {text}" for word, text in SEVERITIES.items()))
    notices: Text = Field(description="what a client notices, in one sentence")
    mended_by: Mender = Field(description="who can mend it")
    upstream: str | None = Field(
        default=None,
        pattern=r"^https://github\.com/[\w.-]+/[\w.-]+/(issues|pull)/[1-9]\d*$",
        description="the issue or pull request about it",
    )
    expires: Day = Field(description="the last day on which it is allowed")
    litellm: Range
    probe: Text = Field(description="how to see it with LiteLLM alone")

    def expired(self, today: date) -> bool:
        """Return whether the entry's last day is over."""
        return date.fromisoformat(self.expires) < today

    def holds(self, litellm: str | None) -> bool:
        """Return whether the entry is about this version of LiteLLM; None, an unknown one, counts as any."""
        return litellm is None or SpecifierSet(self.litellm).contains(litellm, prereleases=True)

    def covers(self, scenario: str, tier: Tier) -> bool:
        """Return whether the entry applies to this scenario (by its id or its template's) in this tier."""
        return tier in self.tiers and self.scenario in (scenario, scenario.partition("[")[0])


class Divergence(_Entry):
    """Allows two targets to differ; `values` holds what each shows after normalisation, or `<absent>`."""

    kind: Literal["divergence"] = "divergence"
    values: dict[str, Any] = Field(description="by architecture, exactly two")

    @model_validator(mode="after")
    def _two_values(self) -> Divergence:
        if len(self.values) != 2:
            raise ValueError(f"needs the values of exactly two architectures, has {len(self.values)}")
        one, other = self.values.values()
        if same(one, other):
            raise ValueError("the two values are the same, so nothing differs")
        return self

    def explains(self, difference: Difference, left: Subject, right: Subject) -> bool:
        """Return whether the path, both values and both versions are exactly the listed ones."""
        return (
            self.path == difference.path
            and set(self.values) == {left.architecture, right.architecture}
            and self.holds(left.litellm)
            and self.holds(right.litellm)
            and _listed(self.values[left.architecture], difference.left)
            and _listed(self.values[right.architecture], difference.right)
        )

    def lists(self, path: str, subject: Subject, shown: Any) -> bool:
        """Return whether one side is listed so: its path, its value and its version."""
        return (
            self.path == path
            and subject.architecture in self.values
            and self.holds(subject.litellm)
            and _listed(self.values[subject.architecture], shown)
        )


class Shortfall(_Entry):
    """Allows targets to break the contract in the same way, because LiteLLM does."""

    kind: Literal["shortfall"] = "shortfall"
    expected: Any
    observed: Any

    def excuses(self, violation: Violation) -> bool:
        """Return whether the path, the expected value and the observed value are exactly the listed ones."""
        return (
            self.path == violation.path
            and _listed(self.expected, violation.expected)
            and _listed(self.observed, violation.actual)
        )


Entry = Annotated[Divergence | Shortfall, Discriminator("kind")]
_ENTRIES: TypeAdapter[tuple[Divergence | Shortfall, ...]] = TypeAdapter(tuple[Entry, ...])


class Ledger(BaseModel):
    """Holds all entries, in the order of the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    entries: tuple[Entry, ...] = ()

    @classmethod
    def load(cls, path: Path = BUILT_IN) -> Ledger:
        """Read a ledger file. Raises `LedgerError`, which names file and line of every mistake."""
        try:
            file = yamlfile.load(path)
        except yamlfile.YamlError as error:
            raise LedgerError([str(error)]) from None
        data = [] if file.data is None else file.data
        if not isinstance(data, list):
            raise LedgerError([f"{path}:1: a ledger is a list of entries; write [] for none"])
        try:
            entries = _ENTRIES.validate_python(tuple(data))
        except ValidationError as error:
            raise LedgerError(yamlfile.explain(error, file)) from None
        if problems := list(_doubled(entries, file)):
            raise LedgerError(problems)
        return cls(entries=entries)

    def explain(
        self, difference: Difference, scenario: str, tier: Tier, left: Subject, right: Subject
    ) -> Divergence | None:
        """Return the entry that lists exactly this difference."""
        for entry in self.entries:
            if not isinstance(entry, Divergence) or not entry.covers(scenario, tier):
                continue
            if entry.explains(difference, left, right):
                return entry
        return None

    def excuse(self, violation: Violation, scenario: str, tier: Tier, subject: Subject) -> Shortfall | None:
        """Return the shortfall that lists exactly this violation.

        `verdict` decides which violations a divergence excuses.
        """
        for entry in self.entries:
            if not isinstance(entry, Shortfall) or not entry.covers(scenario, tier):
                continue
            if entry.holds(subject.litellm) and entry.excuses(violation):
                return entry
        return None

    def unknown(self, scenarios: Iterable[Scenario]) -> list[Divergence | Shortfall]:
        """Return the entries that name a scenario or template not among these, or none in their tiers."""
        known = {(name, tier) for s in scenarios for name in (s.id, s.template) for tier in s.tiers}
        return [e for e in self.entries if not any((e.scenario, tier) in known for tier in e.tiers)]


def ledger_schema() -> dict[str, Any]:
    """Return the JSON schema of a ledger file."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **_ENTRIES.json_schema(),
        "title": "Ledger",
    }


def _listed(listed: Any, seen: Any) -> bool:
    return same(ABSENT if listed == ABSENT.value else listed, seen)


def _doubled(entries: Iterable[Divergence | Shortfall], file: yamlfile.YamlFile) -> Iterable[str]:
    first: dict[tuple[str, ...], int] = {}
    for index, entry in enumerate(entries):
        said = entry.values if isinstance(entry, Divergence) else [entry.expected, entry.observed]
        for tier in entry.tiers:
            key = (entry.kind, entry.scenario, entry.path, entry.litellm, tier, canonical(said))
            if key in first:
                line = file.line_of([first[key]])
                yield f"{file.where([index])}: the same entry as in line {line}; keep one"
                break
            first[key] = index
