"""The built-in scenarios as a whole: named after their files, complete over the contract's clauses."""

from __future__ import annotations

import re

import pytest

from parity.catalogue.loading import BUILT_IN, Catalogue
from parity.catalogue.scenario import TIERS, Scenario
from parity.recording import file as recordings
from tests.docs import contract

THEMES = {
    "sessions",
    "retries",
    "data_routes",
    "auth",
    "chat",
    "context",
    "embeddings",
    "errors",
    "health",
    "messages",
    "models",
    "requests",
    "responses",
    "routing",
    "streaming",
}

LATER: set[str] = set()
"""Clauses of parts that are not built yet; their scenarios come with them."""

NOT_AS_SCENARIO = {
    "auth.constant-time",  # a matter of time, not of what comes out
    "auth.never-shown",  # logs and reports are no part of an exchange
    "errors.unexpected",  # needs a bug in the proxy
    "errors.value-error",  # needs a handler that raises one: the checks catch all that a body can cause
    "limits.concurrency",  # needs requests at the same time; a scenario's come one after the other
    "limits.connections",  # a matter of sockets, not of what comes out
    "limits.fair",  # a matter of time, not of what comes out
    "limits.patterns",  # a matter of time, not of what comes out
    "limits.slow",  # needs a client that stops in the middle of its request
    "memory.shared",  # as memory.embedded, in a Redis: tests/proxies/memory/test_own_stores.py
    "sessions.shared",  # takes two machines: tests/live/test_machines_live.py
    "memory.embedded",  # needs no wire: a file of the proxy's own, and its words
    "health.not-ready",  # needs a backend that is down
    "routes.absolute-form",  # a way to write a target that HTTP libraries don't have
    "sessions.closed",  # a shutdown is no exchange
}
"""Clauses that no provider's behaviour and no client's request can bring about: unit tests prove these."""


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return Catalogue.load()


@pytest.fixture(scope="module")
def clauses() -> list[str]:
    return contract.clauses()


def test_every_built_in_scenario_loads(catalogue: Catalogue) -> None:
    """The catalogue that ships holds no file that can't be read, and is as large as promised."""
    assert len(catalogue) >= 55
    assert len({scenario.template for scenario in catalogue}) >= 40


def test_ids_follow_the_files(catalogue: Catalogue) -> None:
    """A scenario is found by its id: chat.plain is chat/plain.yaml."""
    for scenario in catalogue:
        path = catalogue.sources[scenario.id].relative_to(BUILT_IN)
        assert scenario.template == ".".join(path.with_suffix("").parts)


def test_themes(catalogue: Catalogue) -> None:
    """Each theme has a folder with scenarios in it, and there is no other folder."""
    assert {scenario.id.partition(".")[0] for scenario in catalogue} == THEMES
    assert {path.name for path in BUILT_IN.iterdir() if path.is_dir()} == THEMES


def test_every_scenario_runs_in_both_tiers(catalogue: Catalogue) -> None:
    """Cookies, what LiteLLM writes for others or has no part in are live; a line end in a header is mocked."""
    one_tier = {s.template for s in catalogue if set(s.tiers) != set(TIERS)}
    cookies = {t for t in one_tier if t.startswith("sessions.") or t.endswith(".challenge")}
    written = {
        "chat.anthropic_attachments",
        "chat.anthropic_history",
        "chat.anthropic_prefill",
        "messages.openai_pdf",
    }
    assert one_tier - cookies == {"requests.header_injection", "messages.count_tokens"} | written


def test_titles_are_sentences(catalogue: Catalogue) -> None:
    """A title is a promise in one sentence, and no two files promise the same."""
    titles = {scenario.template: scenario.title for scenario in catalogue}
    for template, title in titles.items():
        assert re.fullmatch(r"[A-Z].*[^.]\.", title), f"{template}: {title}"
    assert len(set(titles.values())) == len(titles)


def test_every_scenario_names_its_clauses(catalogue: Catalogue, clauses: list[str]) -> None:
    """Whoever reads a red cell finds the broken sentence in docs/contract.md."""
    for scenario in catalogue:
        assert scenario.clauses, scenario.id
        assert set(scenario.clauses) <= set(clauses), scenario.id
        assert len(set(scenario.clauses)) == len(scenario.clauses), scenario.id


def test_clause_ids_are_unique(clauses: list[str]) -> None:
    """An id stands for one clause."""
    assert len(clauses) > 90
    assert len(clauses) == len(set(clauses))


def test_every_clause_that_is_owed_has_a_scenario(catalogue: Catalogue, clauses: list[str]) -> None:
    """What has no scenario is on one of two lists, each with its reason, and on neither without need."""
    proven = {clause for scenario in catalogue for clause in scenario.clauses}
    assert set(clauses) - proven == LATER | NOT_AS_SCENARIO
    assert LATER.isdisjoint(NOT_AS_SCENARIO)


@pytest.mark.parametrize("litellm", recordings.shipped_versions())
def test_every_recording_ships(catalogue: Catalogue, litellm: str) -> None:
    """Each scenario of the mocked tier has a recording of what it says today of each version; no cache is asked.

    What is missing here is made by `parity record --missing` where that version is installed.
    """
    recorded = list(catalogue.for_tier("mocked"))
    assert [scenario.id for scenario in recorded if recordings.shipped(scenario, litellm) is None] == []


def test_no_recording_is_left_over(catalogue: Catalogue) -> None:
    """Each file of a recording belongs to a scenario, and one without calls has no file of its own."""
    files = set(recordings.BUILT_IN.rglob("*.json"))
    assert files <= {
        recordings.built_in_path(scenario.id, litellm)
        for scenario in catalogue
        for litellm in recordings.shipped_versions()
    }
    assert [path for path in files if recordings.read(path).without_calls] == []


def test_every_scenario_says_what_the_provider_must_see(catalogue: Catalogue) -> None:
    """The number of provider calls is asserted everywhere: one call too many is no detail."""
    assert [s.id for s in catalogue if s.expect.provider.calls is None] == []


def test_every_response_is_checked(catalogue: Catalogue) -> None:
    """No scenario looks at nothing: a status or a hang-up for each request, and more than that in all."""
    for scenario in catalogue:
        for expected in scenario.expect.responses:
            assert expected.hung_up or expected.status is not None, scenario.id
        assert _looks_inside(scenario), scenario.id


def test_errors_are_compared_whole(catalogue: Catalogue) -> None:
    """An expected error always spells out the whole envelope of its route."""
    for scenario in catalogue:
        for request, expected in zip(scenario.client, scenario.expect.responses, strict=True):
            if expected.status is not None and expected.status >= 400:
                body = expected.json_ or expected.contains
                assert body is not None, scenario.id
                if request.path.startswith("/v1/messages"):
                    assert set(body) == {"type", "error"}, scenario.id
                    assert set(body["error"]) == {"message", "type"}, scenario.id
                else:
                    assert set(body["error"]) == {"message", "type", "param", "code"}, scenario.id


def _looks_inside(scenario: Scenario) -> bool:
    """Whether more than a status is asserted: headers, a body, a stream, or what reached the provider."""
    provider = scenario.expect.provider
    return bool(
        provider.headers
        or provider.contains is not None
        or any(
            r.hung_up or r.headers or r.json_ is not None or r.contains is not None or r.stream is not None
            for r in scenario.expect.responses
        )
    )
