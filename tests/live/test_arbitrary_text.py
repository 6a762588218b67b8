"""Whatever characters a provider or a client writes: both proxies say the same, and nothing of it breaks them."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from parity.targets.arms import ARMS
from parity.targets.stack import START_DEADLINE, ProxyProcess
from proxies.chunks import MOST_SENTENCE, cut
from proxies.support.redact import redact_text
from tests import samples
from tests.answering import Answering

pytestmark = pytest.mark.timeout(600)  # a failing example is made smaller, which takes its time

KEY = "sk-of-the-tests-0123456789abcdef"
MODELS = {
    "openai": "gpt-4o-mini",
    "anthropic": "claude-3-5-haiku-20241022",
    "groq": "llama-3.3-70b-versatile",
}
STATUSES = (400, 401, 403, 404, 409, 413, 422, 429, 500, 502, 503, 529)
TYPES = {413: "request_too_large", 529: "overloaded_error"}
"""By these Anthropic's 413 and 529 are known, which LiteLLM makes a 400 and a 500 of."""

PIECES = (
    "data: ",
    "data: [DONE]\n\n",
    "event: error\n",
    "\n\n",
    "\r\n",
    "\r",
    ": keep-alive\n\n",
    "\x00",
    "\x1b[31m",
    "\x7f\x85",
    "\u2028\u2029",
    "\ufeff",
    "\u202e",
    "e\u0301",
    "👩‍👩‍👧‍👦",
    '{"error": {"message": "no"}}',
    '"',
    "\\",
    "\\ud800",
    "%s {0} $model",
    "' or 1=1 --",
    "<b>",
    "litellm.RateLimitError: ",
    "OpenAIException - ",
    "Error code: 400 - ",
    "Traceback",
    "null",
)
"""What stands in for punctuation somewhere on the way, and what one of the parts on the way writes itself."""


@dataclass(frozen=True)
class Repeated:
    """A text, perhaps over and over, which keeps a failing example readable."""

    piece: str
    bytes: int

    @property
    def text(self) -> str:
        return self.piece * max(1, self.bytes // max(1, len(self.piece.encode())))


pieces = st.lists(st.text() | st.sampled_from(PIECES), max_size=6).map("".join)
texts = st.builds(Repeated, pieces, st.sampled_from([0, 0, 0, 0, 0, 100_000]))


class Provider:
    """One answer for whoever asks, until another is set; what was asked last is kept."""

    def __init__(self) -> None:
        self.answer: tuple[int, str, bytes] = (404, "text/plain", b"")
        self.asked: Any = None
        outer = self

        class Handler(Answering):
            def do_GET(self) -> None:  # LiteLLM lists its deployments' models now and then
                self._send(404, "text/plain", b"")

            def do_POST(self) -> None:
                outer.asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
                self._send(*outer.answer)

            def _send(self, status: int, content_type: str, body: bytes) -> None:
                self.send_response(status)
                self.send_header("content-type", content_type)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Provider:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class Rig:
    """The provider and a client of each proxy before it."""

    def __init__(self, provider: Provider, clients: dict[str, httpx.Client]) -> None:
        self.provider = provider
        self.clients = clients

    def ask(self, vendor: str, text: str, *, path: str, stream: bool) -> list[httpx.Response]:
        """The answers of both proxies to one question."""
        return [
            self.ask_one(client, vendor, text, path=path, stream=stream) for client in self.clients.values()
        ]

    def ask_one(
        self, client: httpx.Client, vendor: str, text: str, *, path: str, stream: bool
    ) -> httpx.Response:
        messages = [{"role": "user", "content": text}]
        body = {"model": vendor, "max_tokens": 64, "stream": stream, "messages": messages}
        return client.post(path, content=json.dumps(body))


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """Both proxies as processes of their own, for all the examples."""
    with ExitStack() as closing:
        provider = closing.enter_context(Provider())
        config = tmp_path_factory.mktemp("arbitrary") / "config.yaml"
        config.write_text(json.dumps(document(provider.url)))
        processes = {arm: ProxyProcess(arm, Path(config)) for arm in ARMS}
        for process in processes.values():
            closing.callback(process.stop)
        deadline = time.monotonic() + START_DEADLINE
        clients = {}
        for arm, process in processes.items():
            client = httpx.Client(
                base_url=process.wait_listening(deadline),
                headers={"authorization": f"Bearer {KEY}", "content-type": "application/json"},
                trust_env=False,
                timeout=60,
            )
            clients[arm] = closing.enter_context(client)
        yield Rig(provider, clients)


def document(url: str) -> dict[str, Any]:
    def params(vendor: str, model: str) -> dict[str, Any]:
        base = url if vendor == "anthropic" else f"{url}/v1"
        return {"model": f"{vendor}/{model}", "api_base": base, "api_key": "of-the-provider"}

    return {
        "model_list": [
            {"model_name": vendor, "litellm_params": params(vendor, model)}
            for vendor, model in MODELS.items()
        ],
        "general_settings": {"master_key": KEY},
    }


LITELLMS = re.compile(
    r"litellm\.|Exception|Error code|Traceback|REDACTED|^\s*[{<]|^b['\"]|<(!doctype|html|head|body|center|h1)\b|\\ud8",
    re.IGNORECASE,
)
"""Texts that LiteLLM reads something into, or that look like what it writes itself: those are merely equal."""

many = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@many
@given(
    vendor=st.sampled_from(sorted(MODELS)),
    status=st.sampled_from(STATUSES),
    repeated=texts,
    stream=st.booleans(),
    messages=st.booleans(),
)
@example("openai", 500, Repeated("data: [DONE]\n\n", 100_000), True, False)
@example("anthropic", 400, Repeated("Traceback (most recent call last):\n  oh", 0), False, True)
@example("anthropic", 400, Repeated(":0A", 100_000), False, False)
@example("groq", 429, Repeated("line one\r\nline two\x00\u2028", 0), True, False)
def test_an_errors_sentence(
    rig: Rig, vendor: str, status: int, repeated: Repeated, stream: bool, messages: bool
) -> None:
    """A provider's sentence, whatever is in it, leaves both proxies as the same error, in one envelope."""
    text = repeated.text
    anthropic = vendor == "anthropic"
    error = {"message": text, "type": TYPES.get(status, "some_error")}
    body = (
        {"type": "error", "error": error} if anthropic else {"error": {**error, "param": None, "code": None}}
    )
    rig.provider.answer = (status, "application/json", json.dumps(body).encode())
    path = "/v1/messages" if messages and anthropic else "/v1/chat/completions"
    binary, sdk = rig.ask(vendor, "Hello?", path=path, stream=stream)
    told = binary.json()
    assert (binary.status_code, told) == (sdk.status_code, sdk.json())
    assert set(told["error"]) == (
        {"type", "message"} if "type" in told else {"message", "type", "param", "code"}
    )
    assert isinstance(told["error"]["message"], str)
    assert told["error"]["message"]
    if not LITELLMS.search(text) and redact_text(text) == text:
        sentence = text.strip()
        assert binary.status_code == status
        if cut(text) == text:
            assert told["error"]["message"] == sentence or not sentence
        else:  # the end of what was cut may look like a secret
            assert told["error"]["message"][:4000] == sentence[:4000]
            assert len(told["error"]["message"]) <= MOST_SENTENCE


@many
@given(vendor=st.sampled_from(sorted(MODELS)), asked=texts, answered=texts)
@example("openai", Repeated("data: [DONE]", 0), Repeated('{"error": {"message": "no"}}', 100_000))
def test_a_question_and_its_answer(rig: Rig, vendor: str, asked: Repeated, answered: Repeated) -> None:
    """What a client asks reaches the provider, and what that answers the client, character by character."""
    question, text = f"Hello? {asked.text}", answered.text
    rig.provider.answer = (200, "application/json", json.dumps(whole(vendor, text)).encode())
    for client in rig.clients.values():
        answer = rig.ask_one(client, vendor, question, path="/v1/chat/completions", stream=False)
        assert answer.status_code == 200, answer.text
        # LiteLLM makes null of Anthropic's empty text.
        assert (answer.json()["choices"][0]["message"]["content"] or "") == text
        content = rig.provider.asked["messages"][-1]["content"]
        assert (content if isinstance(content, str) else content[0]["text"]) == question


@many
@given(vendor=st.sampled_from(sorted(MODELS)), deltas=st.lists(texts, min_size=1, max_size=4))
@example("anthropic", [Repeated(piece, 0) for piece in ("data: [DONE]\n\n", "\r\n\r\n", "event: error\n")])
def test_a_stream(rig: Rig, vendor: str, deltas: list[Repeated]) -> None:
    """The pieces of a stream add up to what the provider sent, though they look like events themselves."""
    pieces = [delta.text for delta in deltas]
    if vendor == "groq":  # there LiteLLM drops such a chunk: see the ledger, streaming.done_in_words
        pieces = [piece.replace("[DONE]", "[done]") for piece in pieces]
    rig.provider.answer = (200, "text/event-stream", streamed(vendor, pieces).encode())
    for client in rig.clients.values():
        answer = rig.ask_one(client, vendor, "Hello?", path="/v1/chat/completions", stream=True)
        assert answer.status_code == 200, answer.text
        *events, done = [line for line in answer.text.split("\n") if line]
        assert done == "data: [DONE]"
        chunks = [json.loads(event.removeprefix("data: ")) for event in events]
        seen = [choice["delta"].get("content") for chunk in chunks for choice in chunk["choices"]]
        assert "".join(piece or "" for piece in seen) == "".join(pieces)


@pytest.mark.parametrize("vendor", sorted(MODELS))
def test_half_a_character(rig: Rig, vendor: str) -> None:
    """Half of a surrogate pair, which JSON can hold, breaks neither proxy; only LiteLLM's process can't hand it on."""
    text = "half \ud83d of it"
    for status, body in ((200, whole(vendor, text)), (422, {"error": {"message": text, "type": "x"}})):
        rig.provider.answer = (status, "application/json", json.dumps(body).encode())
        binary, sdk = rig.ask(vendor, "Hello?", path="/v1/chat/completions", stream=False)
        assert sdk.status_code == status
        told = sdk.json()
        assert (
            told["error"]["message"] if status > 200 else told["choices"][0]["message"]["content"]
        ) == text
        assert binary.status_code in (500, 502, status)
        assert set(binary.json()) == {"error"} or binary.status_code == 200
    rig.provider.answer = (200, "application/json", json.dumps(whole(vendor, "And on.")).encode())
    for answer in rig.ask(vendor, "Hello?", path="/v1/chat/completions", stream=False):
        assert answer.status_code == 200, answer.text
        assert answer.json()["choices"][0]["message"]["content"] == "And on."


def whole(vendor: str, text: str) -> dict[str, Any]:
    """An answer of the provider's that says `text`."""
    return samples.message(text) if vendor == "anthropic" else samples.completion(text, **_OF_GROQ)


def streamed(vendor: str, pieces: list[str]) -> str:
    """An event stream of the provider's, a chunk for each of `pieces`."""
    if vendor == "anthropic":
        return samples.as_events(samples.message_events(*pieces))
    return samples.as_events(samples.chunks(*pieces, **_OF_GROQ))


_OF_GROQ = {"service_tier": "on_demand"}
"""Without it LiteLLM can't read an answer of Groq's."""
