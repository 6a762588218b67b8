"""Writes what changed from version to version as Markdown: by clause, with both values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from parity.catalogue.scenario import Scenario
from parity.versions.history import Change, Step, short

EXAMPLES = 3
"""Scenarios that are named beside a change, and values that are told of one path."""


def page(steps: Sequence[Step], scenarios: Sequence[Scenario], made_by: str) -> str:
    """Return the page: a heading for each version, the newest first, and a line for each kind of change.

    `made_by` is the command that makes the page again.
    """
    lines = [
        "# LiteLLM's answers, release by release",
        "",
        f"Made by `{made_by}`, which plays {count(len(scenarios), 'scenario')} on every version. `process` is "
        "LiteLLM's server alone, `sdk` its functions alone; `binary` and `sdk-proxy` are the proxies on it.",
        "",
        "Generated ids and times are masked. A line is one kind of change; a path is that of the answer, without the "
        "number of the request.",
        "",
    ]
    for step in reversed(steps):
        lines += [f"## {step.version}", "", *_body(step), ""]
    return "\n".join(lines).rstrip() + "\n"


def _body(step: Step) -> Iterable[str]:
    if step.problem:
        return [f"Left out: {' '.join(step.problem.split())[:300]}"]
    if not step.since:
        return ["The first that was played; the others are compared with the one before."]
    if not step.changes:
        return [f"Nothing since {step.since}."]
    return [f"Since {step.since}:", "", *(_line(*kind) for kind in _kinds(step.changes))]


def _kinds(changed: Iterable[Change]) -> list[tuple[tuple[str, str], list[str], list[Change]]]:
    """Return what is told as one, that of most scenarios first: subject and path, the values there, the changes.

    Values that changed at one path in the same scenarios, as a sequence of numbers does, are one kind.
    """
    values: dict[tuple[tuple[str, str], str], list[Change]] = {}
    for change in changed:
        place = (change.subject, re.sub(r"\[\d+\]", "[…]", change.path.replace("$[0]", "$")))
        told = f"{_code(short(change.before, 90))} became {_code(short(change.after, 90))}"
        values.setdefault((place, told), []).append(change)
    kinds: dict[tuple[tuple[str, str], tuple[str, ...]], dict[str, list[Change]]] = {}
    for (place, told), changes in values.items():
        names = tuple(sorted({change.scenario for change in changes}))
        kinds.setdefault((place, names), {})[told] = changes
    found = [
        (place, list(told), [each for changes in told.values() for each in changes])
        for (place, _), told in kinds.items()
    ]
    return sorted(found, key=lambda kind: (-len({change.scenario for change in kind[2]}), kind[:2]))


def _line(place: tuple[str, str], values: Sequence[str], changes: Sequence[Change]) -> str:
    names = list(dict.fromkeys(change.scenario for change in changes))
    clauses = sorted({clause for change in changes for clause in change.clauses})[:EXAMPLES]
    subject, path = place
    scenarios = _some([f"`{name}`" for name in names])
    return f"- {subject} `{path}`: {_some(values)} ({scenarios}; {', '.join(clauses)})"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - EXAMPLES} more" if len(names) > EXAMPLES else ""
    return f"{', '.join(names[:EXAMPLES])}{more}"


def count(number: int, what: str) -> str:
    """Return a number of things in words: "1 scenario", "2 scenarios"."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def _code(text: str) -> str:
    fence = "``" if "`" in text else "`"
    return f"{fence}{text}{fence}"
