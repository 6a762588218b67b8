"""Defines `parity record`, `check-mocks` and `probe`: make recordings, prove them, ask a real LiteLLM alone."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import click

from parity.catalogue import loading as catalogues
from parity.catalogue.scenario import Scenario
from parity.catalogue.selection import Selection
from parity.commands.group import Unusable
from parity.commands.options import expression_option, load, one, recorders_option, scenarios_option
from parity.recorder.missing import compile_recordings, installed
from parity.recording import file as recordings
from proxies.support.redact import redact_json
from proxies.support.terminal import say


@click.command()
@scenarios_option
@click.option("--yes", is_flag=True, help="Write without asking.")
@click.option(
    "--missing",
    "only_missing",
    is_flag=True,
    help="Record only scenarios that have no recording, or changed since.",
)
@recorders_option
def record(paths: tuple[Path, ...], yes: bool, only_missing: bool, workers: str) -> None:
    """Make the recordings anew from a real LiteLLM, showing first what would change."""
    from parity.recorder import drift

    loaded = load(paths)
    recorded = loaded.for_tier("mocked")  # live-only scenarios need no recording
    litellm = _here()

    def is_built_in(scenario: Scenario) -> bool:
        return loaded.sources[scenario.id].resolve().is_relative_to(catalogues.BUILT_IN)

    def is_there(scenario: Scenario) -> bool:  # what ships has to: the cache is this machine's alone
        return (recordings.shipped if is_built_in(scenario) else recordings.find)(
            scenario, litellm
        ) is not None

    wanted = [scenario for scenario in recorded if not (only_missing and is_there(scenario))]
    shipped: list[recordings.Recording] = []
    alike: set[str] = set()
    cached: dict[Path, recordings.Recording] = {}

    def note(scenario: Any, made: recordings.Recording) -> None:
        built_in = is_built_in(scenario)
        before = recordings.built_in(scenario.id, litellm) if built_in else recordings.find(scenario, litellm)
        found = drift.compare(before, made)
        if found and built_in:
            reference = recordings.built_in(scenario.id)
            since_reference = drift.compare(reference, made, between_versions=True)
            shipped.append(made)
            if not since_reference:
                alike.add(scenario.id)
            found = found if before else since_reference
        elif found:
            cached[recordings.cache_path(scenario, litellm)] = made
        for line in found:
            say(line)

    compile_recordings(wanted, note, "recording", workers)
    changes = len(shipped) + len(cached)
    if not changes:
        say(f"{len(wanted)} recordings of LiteLLM {litellm} made, none differs from what is there")
        return
    if not yes and not click.confirm(f"write {changes} recordings?", err=True):
        say("nothing was written")
        sys.exit(1)
    recordings.keep_built_in(shipped, alike)
    for path, made in cached.items():
        recordings.write(made, path)
    like = f", {len(alike)} of them like those of {recordings.REFERENCE}" if alike else ""
    say(f"{changes} recordings of LiteLLM {litellm} written{like}")


def _here() -> str:
    """Return the version of LiteLLM that is installed; raises `Unusable` without one."""
    if (litellm := installed()) is None:
        raise Unusable("making a recording needs LiteLLM: pip install 'proxy-parity[live]'")
    return litellm


@click.command("check-mocks")
@scenarios_option
@expression_option
@recorders_option
def check_mocks(paths: tuple[Path, ...], expression: str, workers: str) -> None:
    """Prove every recording against a real LiteLLM process and a real acompletion.

    They are those of the version of LiteLLM that is installed. Exact agreement, or a drift with scenario, path,
    recorded and now.
    """
    from parity.recorder import drift

    chosen = Selection(expression).of(load(paths).for_tier("mocked"))
    litellm = _here()
    if gone := recordings.missing(chosen, litellm):
        names = ", ".join(s.id for s in gone[:5]) + (", …" if len(gone) > 5 else "")
        raise Unusable(
            f"{len(gone)} scenario(s) without a recording of LiteLLM {litellm}: {names}; "
            f"there are recordings of {', '.join(recordings.shipped_versions())}; run `parity record --missing`"
        )
    drifts: list[str] = []

    def compare(scenario: Scenario, made: recordings.Recording) -> None:
        drifts.extend(drift.compare(recordings.find(scenario, litellm), made))

    compile_recordings(list(chosen), compare, "checking recordings", workers)
    for line in drifts:
        say(line)
    say(
        f"{'DRIFT' if drifts else 'PASS'} check-mocks: LiteLLM {litellm}, "
        f"{len(chosen)} recordings, {len(drifts)} drifts"
    )
    sys.exit(1 if drifts else 0)


@click.command()
@click.argument("scenario_id")
@scenarios_option
def probe(scenario_id: str, paths: tuple[Path, ...]) -> None:
    """Show what a real LiteLLM alone makes of a scenario, as JSON: its process, its SDK, their provider
    calls.

    The evidence behind an entry of the ledger: no proxy of ours is involved.
    """
    scenario = one(load(paths), scenario_id)
    try:
        from parity.recorder import probe as probing
    except ImportError as error:
        raise Unusable(
            f"a probe needs LiteLLM and its proxy: pip install 'proxy-parity[live]' ({error})"
        ) from None
    for probed in asyncio.run(probing.probe(scenario)):
        shown = {
            name: [v.model_dump(mode="json", exclude_defaults=True) for v in value]
            if isinstance(value, tuple)
            else value and value.model_dump(mode="json", exclude_defaults=True)
            for name, value in vars(probed).items()
        }
        say(json.dumps(redact_json(shown), indent=1, ensure_ascii=False))
