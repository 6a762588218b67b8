"""Records scenarios that nobody recorded yet, into a cache keyed by their content."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from parity.catalogue.loading import Catalogue
from parity.catalogue.scenario import Scenario
from parity.observation import file as observation_file
from parity.recording import file as recordings
from parity.support.progress import progress
from proxies.support.terminal import say


def record_missing(loaded: Catalogue, workers: str = "0") -> set[str]:
    """Record into the cache what has no recording; without LiteLLM that can't be done.

    Returns the versions of LiteLLM that all the recordings are of, and tells when it isn't the one that is here.
    """
    found = {scenario.id: recordings.find(scenario) for scenario in loaded}
    versions = {recording.litellm for recording in found.values() if recording is not None}

    def keep(scenario: Scenario, made: recordings.Recording) -> None:
        recordings.write(made, recordings.cache_path(scenario))
        versions.add(made.litellm)

    if missing := [scenario for scenario in loaded if found[scenario.id] is None]:
        compile_recordings(missing, keep, "recording new scenarios", workers)
    here = observation_file.versions("litellm").get("litellm")
    if here and versions - {here}:
        say(
            f"the recordings are of LiteLLM {', '.join(sorted(versions))}, and {here} is installed: "
            "`parity check-mocks` tells whether they still hold, `--tier live` asks the installed one",
            err=True,
        )
    return versions


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
