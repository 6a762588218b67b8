"""`parity compare` with two endpoints on loopback."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner, Result

from parity.catalogue.loading import Catalogue
from parity.cli import main
from parity.commands import clients
from parity.provider.server import serve_in_thread
from tests import endpoints
from tests.endpoints import HANGS_UP, KEY, MODEL, Answer, Asked, served, soon

CHOSEN = ("-k", "chat.plain or chat.sequential or models.list or streaming.plain")


def compare(*arguments: str | Path, **env: str) -> Result:
    return CliRunner().invoke(main, ["compare", *map(str, arguments)], env={"PARITY_API_KEY": KEY, **env})


@pytest.fixture(scope="module")
def right() -> Iterator[str]:
    with served(endpoints.right) as url:
        yield url


@pytest.fixture
def another() -> Iterator[str]:
    with served(endpoints.another) as url:
        yield url


def test_one_endpoint_is_equal_to_itself(right: str) -> None:
    """PASS, by values, with what came and how long it took on each side; the requests are announced."""
    done = compare(right, right, "--model", MODEL, "--yes", *CHOSEN)
    assert done.exit_code == 0, done.output
    assert "4 scenarios: 28 requests (14 to left, 14 to right), about " in done.stderr
    assert "left: 4 observed: 4 × 2xx; median " in done.stdout
    assert done.stdout.splitlines()[-1].startswith("PASS live left | right: ")


def test_two_that_differ_are_told_by_cause(right: str, another: str, tmp_path: Path) -> None:
    """A header more is one block; --ignore takes it away, and says so."""
    asked = (right, another, "--model", MODEL, "--yes", *CHOSEN, "--left-name", "a", "--right-name", "b")
    done = compare(*asked, "--report", tmp_path)
    assert done.exit_code == 1
    assert "in 4 scenarios: header $.exchanges[*].response.headers['x-served-by']" in done.output
    assert json.loads((tmp_path / "report.json").read_text())["verdict"]["targets"] == ["a", "b"]
    done = compare(*asked, "--ignore", "$.exchanges[*].response.headers['x-served-by']")
    assert done.exit_code == 0, done.output
    assert "left aside: 0 differences in noise, 7 by --ignore" in done.output


def talkative(start: int) -> endpoints.Endpoint:
    """A model that never says the same twice, and a header that comes and goes."""
    words = itertools.count(start)

    def endpoint(asked: Asked) -> Answer:
        status, headers, body = endpoints.right(asked)
        number = next(words)
        if number % 3 == 0:
            headers["x-now-and-then"] = "yes"
        return status, headers, body.replace(b"Hello", f"Hello {number}".encode())

    return endpoint


def test_a_real_model_is_compared_by_shape_and_its_noise_is_no_difference() -> None:
    """What an endpoint doesn't repeat itself is set aside, and told."""
    with served(talkative(0)) as one, served(talkative(1000)) as other:
        done = compare(one, other, "--model", MODEL, "--yes", *CHOSEN)
        assert done.exit_code == 0, done.output
        assert "PASS live, shapes only" in done.output
        assert "differs from itself in " in done.output
        assert compare(one, other, "--model", MODEL, "--yes", "--exact", "--once", *CHOSEN).exit_code == 1


def test_two_endpoints_before_one_provider_play_each_scenarios_own() -> None:
    """With --provider no model is needed, and replies start over each time."""
    chosen = Catalogue.load().select(["chat.plain", "chat.sequential", "errors.openai_status[429]"])
    with serve_in_thread(chosen) as provider:
        chosen_ones = "chat.plain or chat.sequential or (errors.openai_status and 429)"
        asked = ("--provider", provider.url, "--yes", "-k", chosen_ones)
        done = compare(provider.url, provider.url, *asked)
    assert done.exit_code == 0, done.output
    assert "3 observed: 2 × 2xx, 1 × 4xx" in done.output


def test_an_official_client_asks_both() -> None:
    """It makes the calls, each with its own retries; what it can't ask is counted, with the reason."""
    chosen = Catalogue.load().select(["chat.plain", "errors.openai_status[400]", "models.list"])
    with serve_in_thread(chosen) as provider:
        chosen_ones = "chat.plain or (errors.openai_status and 400) or models.list"
        asked = (provider.url, provider.url, "--provider", provider.url, "--yes", "--once", "-k", chosen_ones)
        done = compare(*asked, "--client", "openai")
        calls = httpx.get(f"{provider.url}/_control", trust_env=False).json()["received"]
    assert done.exit_code == 0, done.output
    assert "left out: 1 × asks another route, which the client openai can't" in done.stderr
    assert "left: 2 observed: 1 × 2xx, 1 × 4xx" in done.stdout
    (*_, last) = calls
    assert "OpenAI" in last["call"]["headers"]["user-agent"]


def test_a_client_that_is_not_installed_is_told(right: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the command that installs it, before anything is asked."""
    monkeypatch.setattr(clients, "find_spec", lambda _: None)
    done = compare(right, right, "--model", MODEL, "--client", "groq")
    assert done.exit_code == 2
    assert "the client groq isn't installed: pip install groq" in done.output


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--model", MODEL), "nobody is there to ask whether to start; --yes"),
        ((), "the left endpoint needs a model: --model for both, or --left-model"),
        (("--model", MODEL, "--max-requests", "3", "--yes"), "that is more than --max-requests 3"),
        (("--model", MODEL, "--ignore", "headers"), "from $ on, not 'headers'"),
        (("--model", "gpt-x", "--yes"), "give one of its own with --left-model, such as gpt-theirs"),
        (
            ("--model", MODEL, "--right-key-env", "NONE", "--yes"),
            "name another variable with --right-key-env",
        ),
    ],
)
def test_a_mistake_is_told_before_anything_is_compared(
    right: str, arguments: tuple[str, ...], told: str
) -> None:
    """With exit code 2, in the words of this command's options."""
    done = compare(right, right, *arguments, *CHOSEN)
    assert done.exit_code == 2, done.output
    assert told in done.output


def test_what_is_no_url_is_told(right: str) -> None:
    """A host alone could mean either scheme."""
    done = compare("localhost:4000", right, "--model", MODEL)
    assert done.exit_code == 2
    assert "it begins with http:// or https://" in done.output


def test_two_that_fail_alike_are_no_pass() -> None:
    """Endpoints that die on the way are INCOMPLETE, however equal."""
    with served(soon(HANGS_UP)) as one, served(soon(HANGS_UP)) as other:
        done = compare(one, other, "--model", MODEL, "--yes", *CHOSEN)
    assert done.exit_code == 2
    assert done.output.splitlines()[-1].startswith("INCOMPLETE live")
