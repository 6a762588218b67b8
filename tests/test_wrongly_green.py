"""A comparison of URLs is green only where both answered: each way to be green without that is tried, and is not."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from parity.cli import main
from parity.observation.file import ObservationFile
from tests import endpoints
from tests.endpoints import HANGS_UP, KEY, MODEL, Answer, Endpoint, served, soon

pytestmark = pytest.mark.unmeasured

CHAT = ("-k", "chat and (plain or sequential or tool or refusal or choices or parts) and not responses")
REFUSED = {
    "no key": (
        endpoints.right,
        "",
        MODEL,
        "wants a key (401: Incorrect API key provided.), and THE_KEY is empty",
    ),
    "wrong key": (endpoints.right, "sk-wrong", MODEL, "refuses the key in THE_KEY (401: "),
    "two lines": (endpoints.right, "sk-a\nb", MODEL, "THE_KEY holds a character that no header can"),
    "no such model": (
        endpoints.right,
        KEY,
        "gpt-thears",
        "doesn't serve the model 'gpt-thears' (404: The model does",
    ),
    "file server": (endpoints.file_server, KEY, MODEL, "with 501 and text/html, no JSON: --target must be"),
    "another API": (
        endpoints.other_api,
        KEY,
        MODEL,
        "which is no chat completion (it has no list `choices`)",
    ),
    "failures called 200": (endpoints.refuses_in_a_success, KEY, MODEL, "which is no chat completion"),
    "never well": (endpoints.broken, KEY, MODEL, "with 503: No capacity.: check --model"),
    "no route": (
        endpoints.lists_only,
        KEY,
        MODEL,
        "answers POST /v1/chat/completions with 404 and text/plain",
    ),
    "moved": (endpoints.moved, KEY, MODEL, "with 302 and no content type, no JSON: --target must be"),
}


def observe(url: str, out: Path, *arguments: str, key: str = KEY, model: str = MODEL) -> Result:
    given = ("--target", url, "--model", model, "--api-key-env", "THE_KEY", "--out", str(out))
    return CliRunner().invoke(main, ["observe", *given, *(arguments or CHAT)], env={"THE_KEY": key})


@pytest.mark.parametrize("way", REFUSED)
def test_what_would_show_nothing_is_not_observed(way: str, tmp_path: Path) -> None:
    """An endpoint that refuses the first questions is exit code 2 with one sentence, and no file."""
    endpoint, key, model, told = REFUSED[way]
    with served(endpoint) as url:
        done = observe(url, tmp_path / "out.jsonl", key=key, model=model)
    assert done.exit_code == 2
    assert told in done.output
    assert len(done.output.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
    assert KEY not in done.output


@pytest.mark.parametrize(
    ("fails", "came"),
    [(HANGS_UP, "broke"), (endpoints.error(429, "Slow down."), "× 4xx")],
    ids=["dies", "is used up"],
)
def test_an_endpoint_that_fails_on_the_way_shows_nothing(fails: Answer, came: str, tmp_path: Path) -> None:
    """Its file is written, its last line says what came, and a comparison with itself is INCOMPLETE."""
    files = [tmp_path / "one.jsonl", tmp_path / "other.jsonl"]
    for file in files:
        with served(soon(fails)) as url:
            done = observe(url, file, *CHAT, "--name", file.stem)
        assert done.exit_code == 2
        last = done.output.splitlines()[-1]
        count = len(ObservationFile.read(file).observations)
        assert last.startswith(f"{count} observed: ")
        assert came in last
        assert "most of it failed, so it shows nothing" in done.output
    for how in ((), ("--shape",)):
        compared = CliRunner().invoke(main, ["diff", *map(str, files), *how])
        assert compared.exit_code == 2
        assert "one: most of it failed, so it shows nothing" in compared.output
        assert compared.output.splitlines()[-1].startswith("INCOMPLETE live")


def test_half_of_the_answers_are_enough(tmp_path: Path) -> None:
    """An endpoint that refuses some requests is compared, and equal to itself."""
    files = [tmp_path / "one.jsonl", tmp_path / "other.jsonl"]
    for file in files:
        with served(endpoints.right) as url:
            done = observe(url, file, "-k", "chat.plain or chat.tool or models.unknown", "--name", file.stem)
        assert done.exit_code == 0, done.output
    assert " × 2xx, " in done.output.splitlines()[-1]
    compared = CliRunner().invoke(main, ["diff", *map(str, files)])
    assert (compared.exit_code, compared.output.splitlines()[-1][:4]) == (0, "PASS")


def test_the_number_of_requests_is_announced(tmp_path: Path) -> None:
    """Whoever names a URL is told how much will be asked of it before that begins."""
    with served(endpoints.right) as url:
        done = observe(url, tmp_path / "out.jsonl", "-k", "chat.sequential or chat.plain")
    assert f"4 requests to {url.removeprefix('http://')} (2 scenarios); -k chooses among them" in done.stderr


def test_a_header_goes_with_every_request(tmp_path: Path) -> None:
    """Also with the first questions: an endpoint may want more than a key."""

    def wants_a_header(asked: endpoints.Asked) -> Answer:
        if asked.headers.get("x-tenant") != "7: b":
            return endpoints.error(401, "no tenant")
        return endpoints.right(asked)

    with served(wants_a_header) as url:
        assert observe(url, tmp_path / "a.jsonl", *CHAT).exit_code == 2
        done = observe(url, tmp_path / "b.jsonl", *CHAT, "--header", "X-Tenant: 7: b")
        wrong = observe(url, tmp_path / "c.jsonl", *CHAT, "--header", "no colon")
    assert done.exit_code == 0, done.output
    assert wrong.exit_code == 2
    assert "'NAME: VALUE'" in wrong.output


@pytest.mark.parametrize(
    ("endpoint", "told"),
    [
        (endpoints.right, None),
        (endpoints.other_api, "which is no list of models"),
        (endpoints.file_server, "answers GET /v1/models with 200 and text/html, no JSON, which is no list"),
    ],
)
def test_scenarios_that_ask_no_model_need_a_list_of_them(
    endpoint: Endpoint, told: str | None, tmp_path: Path
) -> None:
    """Then the list is the one question, and has to be one."""
    with served(endpoint) as url:
        done = observe(url, tmp_path / "out.jsonl", "-k", "models.list")
    assert done.exit_code == (2 if told else 0), done.output
    assert told is None or told in done.output


def test_an_empty_key_is_sent_in_no_header(tmp_path: Path) -> None:
    """A local endpoint that wants no key is observed without one; `Bearer ` alone is no header that can be sent."""

    def open_to_all(asked: endpoints.Asked) -> Answer:
        assert asked.headers.get("authorization") in (None, "Bearer sk-not-the-key-of-this-proxy")
        asked.headers.replace_header("authorization", f"Bearer {KEY}") if asked.headers.get(
            "authorization"
        ) else asked.headers.add_header("authorization", f"Bearer {KEY}")
        return endpoints.right(asked)

    with served(open_to_all) as url:
        done = observe(url, tmp_path / "out.jsonl", *CHAT, key="")
    assert done.exit_code == 0, done.output


def test_one_cause_is_told_once(tmp_path: Path) -> None:
    """A header that one side alone sends is one block on the terminal, however many scenarios it shows in."""
    files = [tmp_path / "one.jsonl", tmp_path / "other.jsonl"]
    for file, endpoint in zip(files, (endpoints.right, endpoints.another), strict=True):
        with served(endpoint) as url:
            assert observe(url, file, *CHAT, "--name", file.stem).exit_code == 0
    done = CliRunner().invoke(main, ["diff", *map(str, files)])
    assert done.exit_code == 1
    count = len({json.loads(line).get("scenario") for line in files[0].read_text().splitlines()[1:]})
    assert f"in {count} scenarios: header $.exchanges[*].response.headers['x-served-by']" in done.output
    assert done.output.count("x-served-by") == 1
    assert f"and {count - 3} more" in " ".join(done.output.split())
    assert len(done.output.splitlines()) < 15


def test_an_official_client_asks(tmp_path: Path) -> None:
    """What it can't ask is counted and left out; its retries are in the file."""
    with served(endpoints.right) as url:
        done = observe(
            url, tmp_path / "out.jsonl", "-k", "chat.plain or messages.plain", "--client", "openai"
        )
        none = observe(url, tmp_path / "none.jsonl", "-k", "models.list", "--client", "openai")
    assert done.exit_code == 0, done.output
    assert re.search(r"left out: \d+ × .+, which the client openai can't", done.output)
    exchanges = [e for o in ObservationFile.read(tmp_path / "out.jsonl").observations for e in o.exchanges]
    assert {exchange.attempts for exchange in exchanges} == {1}
    assert none.exit_code == 2
