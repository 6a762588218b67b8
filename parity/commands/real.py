"""Plays the tier `real` of `parity run`: a few scenarios in front of the providers themselves.

    stub     one proxy, the scenarios' own provider behind it  ┐
    binary   the proxies, the real providers behind them       ├─> compared by the kinds of their values
    sdk                                                        ┘

Where a proxy on the real provider differs from the stub, the stub has drifted from reality, or reality has changed.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from parity.catalogue.loading import Catalogue
from parity.catalogue.scenario import Scenario
from parity.catalogue.selection import Selection
from parity.catalogue.strangers import tokens_of
from parity.commands.group import Unusable
from parity.commands.observe import requests_of
from parity.commands.options import agreed, finish, key_from
from parity.judging.evidence import too_little
from parity.judging.ledger import Ledger
from parity.judging.verdict import Cell, judge
from parity.observation.file import ObservationFile, versions
from parity.observation.model import Header, Observation
from parity.observation.shape import shape
from parity.report.evidence import collect
from parity.support.progress import progress
from parity.targets import stack
from parity.targets.arms import Arm
from parity.targets.real import PROVIDERS, provider_of, real_document
from parity.targets.target import UrlTarget
from proxies.support.redact import redact_json, register_secret
from proxies.support.terminal import say

STUB = "stub"


def run_real(
    loaded: Catalogue, expression: str, arms: Sequence[Arm], yes: bool, folder: Path, as_json: bool
) -> NoReturn:
    """Ask, compare, and end the process with the verdict's exit code. Raises `Unusable`."""
    if os.environ.get("CI"):
        raise Unusable(
            "the tier real asks providers who want money for it, so it isn't played in CI (CI is set)"
        )
    chosen = _with_a_key(Selection(expression).of([s for s in loaded.for_tier("live") if s.real]))
    each, total = requests_of(chosen), requests_of(chosen) * len(arms)
    tokens = tokens_of(chosen) * len(arms)
    agreed(
        f"{len(chosen)} scenarios: {total} requests to real providers ({each} by each of {', '.join(arms)}), about "
        f"{tokens:,} tokens",
        yes,
    )
    with progress("real tier", len(chosen) * (len(arms) + 1)) as advance:
        seen = _observed(chosen, arms, advance)
    for name, observations in seen.items():
        head = Header(target=name, tier="live", catalogue="", endpoint=True, versions=versions())
        ObservationFile(head, tuple(observations)).write(folder / f"{name}.jsonl")
        say(f"wrote {folder / name}.jsonl", err=True)
    _tell(loaded, chosen, {name: [shape(o) for o in each] for name, each in seen.items()}, folder, as_json)


def _with_a_key(marked: Sequence[Scenario]) -> list[Scenario]:
    """Return the scenarios whose provider's key is there, and count the others. Raises `Unusable` for none."""
    variables = [provider.key_variable for provider in PROVIDERS.values()]
    for variable in variables:
        register_secret(key_from(variable))
    chosen = [s for s in marked if (provider := provider_of(s)) is not None and provider.key]
    if not chosen:
        raise Unusable(
            f"no key of the chosen scenarios' providers is in the environment; put one into {', '.join(variables)}"
        )
    if left := len(marked) - len(chosen):
        say(f"left out: {left} scenarios whose provider's key isn't in the environment", err=True)
    return chosen


def _observed(
    chosen: Sequence[Scenario], arms: Sequence[Arm], advance: Callable[[str], None]
) -> dict[str, list[Observation]]:
    seen: dict[str, list[Observation]] = {}
    with stack.serve(chosen, arms[-1:]) as running:
        (url,) = running.urls.values()
        seen[STUB] = asyncio.run(_asked(UrlTarget(STUB, url, running.key, ""), chosen, advance))
    key = stack.new_key()
    with stack.started({arm: real_document(chosen, arm, key) for arm in arms}) as urls:
        for arm, url in urls.items():
            seen[arm] = asyncio.run(_asked(UrlTarget(arm, url, key, ""), chosen, advance))
    return seen


async def _asked(
    target: UrlTarget, chosen: Sequence[Scenario], advance: Callable[[str], None]
) -> list[Observation]:
    """Ask one scenario after the other, and mask what is secret in the answers."""
    seen = []
    for scenario in chosen:
        observation = await target.observe(scenario)
        seen.append(Observation.model_validate(redact_json(observation.model_dump(mode="json"))))
        advance(f"{scenario.id} {target.name}")
    return seen


def _tell(
    loaded: Catalogue,
    chosen: Sequence[Scenario],
    seen: dict[str, list[Observation]],
    folder: Path,
    as_json: bool,
) -> NoReturn:
    by_id = {scenario.id: scenario for scenario in chosen}
    problems = [
        little for name, each in seen.items() if (little := too_little(name, each, by_id)) is not None
    ]
    verdict = judge(
        [Cell(scenario=s.id, target=name) for s in chosen for name in seen],
        [o for each in seen.values() for o in each],
        loaded,
        Ledger(),
        "live",
        list(seen),
        problems=problems,
        outside=set(seen),
        shapes_only=True,
    )
    finish(
        verdict,
        loaded.select(by_id).hash,
        dict.fromkeys(seen, versions()),
        folder,
        evidence=collect(chosen, [o for each in seen.values() for o in each]),
        as_json=as_json,
    )
