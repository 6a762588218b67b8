"""Records scenarios that nobody recorded yet, into a cache keyed by their content."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from packaging.version import Version

from parity.catalogue.loading import Catalogue
from parity.catalogue.scenario import Scenario
from parity.observation import file as observation_file
from parity.recording import file as recordings
from parity.support.progress import progress
from proxies.support.terminal import say


def installed() -> str | None:
    """Return the version of LiteLLM that is installed here."""
    return observation_file.versions("litellm").get("litellm")


def played_as(wanted: str | None = None) -> str:
    """Return the LiteLLM that the mocked tier plays: `wanted`, else the one here, else the reference.

    One that is here and has no recordings is not replayed from another's without saying so.
    """
    if wanted is not None:
        return wanted
    shipped, here = recordings.shipped_versions(), installed()
    if here is None or here in shipped:
        return here or recordings.REFERENCE
    nearest = max((v for v in shipped if Version(v) <= Version(here)), key=Version, default=shipped[0])
    say(
        f"there are no recordings of LiteLLM {here}, which is installed: those of {nearest} are played. "
        f"`--litellm {here}` records it first, `--tier live` asks it",
        err=True,
    )
    return nearest


def record_missing(loaded: Catalogue, litellm: str, workers: str = "0") -> None:
    """Record into the cache what this version of LiteLLM hasn't been asked yet; that takes exactly this version."""
    missing = recordings.missing(loaded, litellm)
    if not missing:
        return
    if (here := installed()) != litellm:
        names = ", ".join(s.id for s in missing[:3]) + (", …" if len(missing) > 3 else "")
        raise recordings.RecordingError(
            f"{len(missing)} scenario(s) have no recording of LiteLLM {litellm} ({names}), and "
            + (
                f"{here} is installed: play it with `--litellm {here}`"
                if here
                else "making one needs LiteLLM"
            )
            + f"; or run `parity record` where LiteLLM {litellm} and the extra `live` are installed"
        )

    def keep(scenario: Scenario, made: recordings.Recording) -> None:
        recordings.write(made, recordings.cache_path(scenario, litellm))

    compile_recordings(missing, keep, "recording new scenarios", workers)


def compile_recordings(
    scenarios: Sequence[Scenario],
    each: Callable[[Scenario, recordings.Recording], None],
    label: str,
    workers: str = "0",
) -> None:
    """Record every scenario, showing how far it is, and hand each recording to `each`; see `workers.record`."""
    try:
        from parity.recorder.workers import record

        with progress(label, len(scenarios)) as advance:

            def done(scenario: Scenario, made: recordings.Recording) -> None:
                each(scenario, made)
                advance(scenario.id)

            record(scenarios, done, workers)
    except ImportError as error:
        names = ", ".join(s.id for s in scenarios[:3]) + (", …" if len(scenarios) > 3 else "")
        raise recordings.RecordingError(
            f"{len(scenarios)} scenario(s) have no recording ({names}), and making one needs LiteLLM ({error}); "
            "run `parity record` where `pip install 'proxy-parity[live]'` was done"
        ) from None
