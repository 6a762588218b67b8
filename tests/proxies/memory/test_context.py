"""Memories through the whole application, with a fake backend behind it and a fake store beside it."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from asgi_lifespan import LifespanManager
from fastapi import FastAPI

from proxies.config.models import ProxyConfig
from proxies.errors import ProxyError
from proxies.front.app import build_app
from proxies.memory import context
from proxies.memory.context import Memory
from proxies.sessions import MemorySessionManager
from tests.proxies.front.fakes import KEY, Exchange, FakeBackend, make_config
from tests.upstream import Upstream

AUTH = {"authorization": f"Bearer {KEY}"}
STORE_KEY = "sm_test-key-of-the-store"
SAID = {"choices": [{"index": 0, "message": {"content": "In Oslo."}, "finish_reason": "stop"}]}
CALLS = {"choices": [{"index": 0, "message": {"content": None}, "finish_reason": "tool_calls"}]}


def section(**settings: Any) -> dict[str, Any]:
    return {
        "enabled": True,
        "base_url": "http://memory.invalid",
        "api_key": STORE_KEY,
        "injection_strategy": "user_suffix",
        **settings,
    }


def embedded(path: Path, **settings: Any) -> dict[str, Any]:
    return {
        "enabled": True,
        "store": "embedded",
        "path": str(path / "memory.db"),
        "write_back": True,
        **settings,
    }


class Store(Upstream):
    """Supermemory that answers each user with a fact about them, when `gate` is open."""

    def __init__(self) -> None:
        super().__init__(self._fact)
        self.asked: list[dict[str, Any]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.status = 200

    async def _fact(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(json.loads(request.content))
        await self.gate.wait()
        fact = {"memory": f"This is {self.asked[-1]['containerTag']}."}
        return httpx.Response(self.status, json={"searchResults": {"results": [fact]}})


@pytest.fixture
def store() -> Store:
    return Store()


def app_of(backend: FakeBackend, config: ProxyConfig, store: Store | None = None) -> FastAPI:
    """The application, with this store of memories where the configuration has one that is far away."""
    memory = Memory(config, None if store is None else store.sessions(MemorySessionManager))
    return build_app(config, backend, memory=memory)


@asynccontextmanager
async def client_of(
    backend: FakeBackend, settings: dict[str, Any], store: Store | None = None
) -> AsyncIterator[httpx.AsyncClient]:
    app = app_of(backend, make_config(context_retrieval=settings), store)
    transport = httpx.ASGITransport(app)
    async with (
        LifespanManager(app),
        httpx.AsyncClient(transport=transport, base_url="http://proxy") as client,
    ):
        yield client


def ask(text: str = "Where?", **more: Any) -> dict[str, Any]:
    return {"model": "fast", "messages": [{"role": "user", "content": text}], **more}


async def chat(client: httpx.AsyncClient, user: str = "ann", **options: Any) -> httpx.Response:
    headers = {**AUTH, "x-memory-user-id": user, **options.pop("headers", {})}
    return await client.post("/v1/chat/completions", headers=headers, json=options.pop("json", ask()))


def last_content(backend: FakeBackend) -> str:
    content: str = backend.calls[-1].params["messages"][-1]["content"]
    return content


async def test_each_user_gets_their_own(store: Store) -> None:
    """Users who ask the same at the same time get what is remembered of them, and nobody else's."""
    backend = FakeBackend(reply=SAID)
    async with client_of(backend, section(), store) as client:
        answers = await asyncio.gather(*(chat(client, f"user-{n % 20}") for n in range(200)))
    assert {answer.headers["x-memory"] for answer in answers} == {"hit"}
    assert len(store.asked) == 20
    for call in backend.calls:
        assert f"- This is {call.user_id}.\n" in call.params["messages"][-1]["content"]
        assert call.params["messages"][-1]["content"].count("This is") == 1


async def test_requests_of_one_turn_share_a_lookup(store: Store) -> None:
    """Many requests of the same turn at once wait for one lookup; who leaves doesn't take it with them."""
    store.gate.clear()
    backend = FakeBackend(reply=SAID)
    app = app_of(backend, make_config(context_retrieval=section()), store)
    body = json.dumps(ask()).encode()
    async with LifespanManager(app):
        leaving, *staying = (Exchange(app, "/v1/chat/completions", body, AUTH) for _ in range(10))
        while not store.asked:
            await asyncio.sleep(0)
        leaving.disconnect()
        assert await leaving.end() == []
        store.gate.set()
        for exchange in staying:
            headers = dict((await exchange.message())["headers"])
            assert headers[b"x-memory"] == b"hit"
            await exchange.end()
    assert len(store.asked) == 1
    assert len({json.dumps(call.params["messages"]) for call in backend.calls}) == 1
    assert len(backend.calls) == 9


@pytest.mark.parametrize("stream", [False, True])
async def test_a_failure_is_one_warning(store: Store, stream: bool, caplog: pytest.LogCaptureFixture) -> None:
    """The request goes up as it came; the log has one line, without key, question or user."""
    store.status = 500
    backend = FakeBackend(reply=SAID, chunks=[{"n": 0}])
    async with client_of(backend, section(), store) as client:
        answer = await chat(client, json=ask("my secret question", stream=stream))
    assert (answer.status_code, answer.headers["x-memory"]) == (200, "error")
    assert last_content(backend) == "my secret question"
    [record] = [r for r in caplog.records if r.levelno >= logging.WARNING]
    assert record.getMessage() == "memory: the request goes on without: it answered 500"


async def test_a_bug_is_a_failure_too(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Not even a mistake of ours in this part costs a client its answer, nor shows the store's key."""

    def broken(*_: Any) -> None:
        raise RuntimeError(f"no idea what Bearer {STORE_KEY} is")

    monkeypatch.setattr(context, "inject", broken)
    backend = FakeBackend(reply=SAID)
    async with client_of(backend, section(), store) as client:
        answer = await chat(client)
    assert (answer.status_code, answer.headers["x-memory"]) == (200, "error")
    assert last_content(backend) == "Where?"
    assert "RuntimeError: no idea what Bearer ***" in caplog.text
    assert STORE_KEY not in caplog.text


async def test_a_store_that_takes_too_long(store: Store) -> None:
    """The timeout ends a lookup whatever the store does."""
    store.gate.clear()
    backend = FakeBackend(reply=SAID)
    async with client_of(backend, section(timeout=0.05), store) as client:
        answer = await chat(client)
        store.gate.set()
    assert (answer.status_code, answer.headers["x-memory"]) == (200, "error")


async def test_errors_tell_what_came_of_the_memories(store: Store) -> None:
    """A failure of the provider keeps its status and headers, and gets the outcome."""
    backend = FakeBackend(error=ProxyError(429, "Slow down.", headers={"retry-after": "3"}))
    async with client_of(backend, section(), store) as client:
        answer = await chat(client)
    assert (answer.status_code, answer.headers["x-memory"], answer.headers["retry-after"]) == (
        429,
        "hit",
        "3",
    )


async def test_a_lookup_is_old_after_a_while(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A question asked again later is looked up again; the memory of turns is bounded."""
    monkeypatch.setattr(context, "TURN_SECONDS", 0.0)
    async with client_of(FakeBackend(reply=SAID), section(), store) as client:
        for _ in range(3):
            await chat(client)
    assert len(store.asked) == 3
    monkeypatch.setattr(context, "TURN_SECONDS", 900.0)
    monkeypatch.setattr(context, "MAX_TURNS", 2)
    async with client_of(FakeBackend(reply=SAID), section(), store) as client:
        for text in ("one", "two", "three", "three", "one"):
            await chat(client, json=ask(text))
    assert [asked["q"] for asked in store.asked[3:]] == ["one", "two", "three", "one"]


async def test_models_have_their_own_settings(store: Store) -> None:
    """`model_info.context_retrieval` changes the section for one model, whatever its group's other members say."""
    config = make_config(context_retrieval=section())
    off = config.model_list[0].model_copy(update={"model_info": {"context_retrieval": {"enabled": False}}})
    config = config.model_copy(update={"model_list": (off, *config.model_list[1:])})
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app_of(FakeBackend(reply=SAID), config, store)), base_url="http://proxy"
    ) as client:
        first = await chat(client)
        second = await chat(client, json={**ask(), "model": "team/fast"})
    assert "x-memory" not in first.headers
    assert second.headers["x-memory"] == "hit"


async def test_a_fact_told_in_one_chat_is_in_the_next(tmp_path: Path) -> None:
    """With the embedded store the proxy remembers by itself: for that user alone, and over a restart."""
    backend = FakeBackend(reply=SAID)
    async with client_of(backend, embedded(tmp_path)) as client:
        told = await chat(client, json=ask("My dog is called Rex."))
        asked = await chat(client, json=ask("What is my dog called?"))
        assert "- The user said: My dog is called Rex. The answer was: In Oslo.\n" in last_content(backend)
        other = await chat(client, "bob", json=ask("What is my dog called?"))
        assert last_content(backend) == "What is my dog called?"
    outcomes = [answer.headers["x-memory"] for answer in (told, asked, other)]
    assert outcomes == ["miss", "hit", "miss"]
    async with client_of(backend, embedded(tmp_path)) as client:
        await chat(client, json=ask("And my dog?"))
    assert "My dog is called Rex." in last_content(backend)


async def test_a_question_is_looked_up_anew_after_something_was_learnt(tmp_path: Path) -> None:
    """A miss is not held against a user who tells the answer and asks again."""
    backend = FakeBackend(reply=SAID)
    async with client_of(backend, embedded(tmp_path)) as client:
        assert (await chat(client, json=ask("My dog?"))).headers["x-memory"] == "miss"
        await chat(client, json=ask("My dog is called Rex."))
        assert (await chat(client, json=ask("My dog?"))).headers["x-memory"] == "hit"
    assert "Rex" in last_content(backend)


def streamed(*texts: str, finish: str = "stop") -> list[dict[str, Any]]:
    chunks = [{"choices": [{"index": 0, "delta": {"content": text}}]} for text in texts]
    return [*chunks, {"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]}]


ANTHROPIC = [
    {"type": "message_start", "message": {}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Nice name."}},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}},
    {"type": "message_stop"},
]


RESPONSE = [
    {"type": "response.created", "response": {}},
    {
        "type": "response.completed",
        "response": {
            "object": "response",
            "status": "completed",
            "output": [{"type": "message", "content": [{"type": "output_text", "text": "Nice name."}]}],
        },
    },
]


@pytest.mark.parametrize(
    ("path", "chunks", "learnt"),
    [
        ("/v1/chat/completions", streamed("Nice ", "name."), True),
        ("/v1/chat/completions", streamed("Let me see.", finish="tool_calls"), False),
        ("/v1/chat/completions", [*streamed("Nice"), ProxyError(502, "gone")], False),
        ("/v1/chat/completions", streamed(), False),
        ("/v1/messages", ANTHROPIC, True),
        ("/v1/messages", ANTHROPIC[:2], False),
        ("/v1/responses", RESPONSE, True),
        ("/v1/responses", RESPONSE[:1], False),
    ],
)
async def test_only_a_finished_stream_is_learnt(
    path: str, chunks: list[Any], learnt: bool, tmp_path: Path
) -> None:
    """A stream that came to its end is remembered; one that broke, or calls a tool, is not."""
    backend = FakeBackend(chunks=chunks, reply=CALLS)
    async with client_of(backend, embedded(tmp_path)) as client:
        sent = ask("My dog is called Rex.", stream=True, max_tokens=9) | {"input": "My dog is called Rex."}
        if path == "/v1/responses":
            del sent["messages"]
        await client.post(path, headers=AUTH, json=sent)
        await client.post("/v1/chat/completions", headers=AUTH, json=ask("My dog?"))
    assert (
        "- The user said: My dog is called Rex. The answer was: Nice name." in last_content(backend)
    ) is learnt


async def test_a_client_that_hangs_up_teaches_nothing(tmp_path: Path) -> None:
    """What nobody read to its end isn't remembered."""
    backend = FakeBackend(chunks=[*streamed("Nice"), asyncio.Event()], reply=CALLS)
    app = build_app(make_config(context_retrieval=embedded(tmp_path)), backend)
    async with LifespanManager(app):
        body = json.dumps(ask("My dog is called Rex.", stream=True)).encode()
        exchange = Exchange(app, "/v1/chat/completions", body, AUTH)
        await exchange.message()
        exchange.disconnect()
        await exchange.end()
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://p") as client:
            answer = await client.post("/v1/chat/completions", headers=AUTH, json=ask("My dog?"))
    assert answer.headers["x-memory"] == "miss"


@pytest.mark.parametrize(
    ("settings", "headers"),
    [({"write_back": False}, {}), ({}, {"x-memory": "off"}), ({"models": {"deny": ["fast"]}}, {})],
)
async def test_nothing_is_learnt_unasked(
    settings: dict[str, Any], headers: dict[str, str], tmp_path: Path
) -> None:
    """Without `write_back`, for a client that wants no memories, or for a denied model nothing is stored."""
    async with client_of(FakeBackend(reply=SAID), embedded(tmp_path, **settings)) as client:
        await chat(client, json=ask("My dog is called Rex."), headers=headers)
    backend = FakeBackend(reply=SAID)
    async with client_of(backend, embedded(tmp_path)) as client:
        assert (await chat(client, json=ask("My dog?"))).headers["x-memory"] == "miss"


async def test_a_tool_loop_keeps_its_text_while_others_teach(tmp_path: Path) -> None:
    """What the user tells elsewhere meanwhile doesn't change a turn that is under way."""
    backend = FakeBackend(reply=SAID)
    async with client_of(backend, embedded(tmp_path)) as client:
        await chat(client, json=ask("My dog is called Rex."))
        first = ask("My dog and my cat?")
        await chat(client, json=first)
        sent = last_content(backend)
        await chat(client, json=ask("My cat is called Tom."))
        loop = [*first["messages"], {"role": "tool", "tool_call_id": "1", "content": "7"}]
        await chat(client, json={**first, "messages": loop})
        assert backend.calls[-1].params["messages"][0]["content"] == sent
        await chat(client, json=first)
        assert "Tom" in last_content(backend)


async def test_shutdown_waits_for_what_is_being_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer just before the end is remembered; storing it didn't hold the answer back."""
    gate = asyncio.Event()
    real: Callable[..., Any] = context.EmbeddedStore.remember

    async def slow(self: Any, *told: str) -> None:
        await gate.wait()
        await real(self, *told)

    monkeypatch.setattr(context.EmbeddedStore, "remember", slow)
    async with client_of(FakeBackend(reply=SAID), embedded(tmp_path)) as client:
        await chat(client, json=ask("My dog is called Rex."))
        asyncio.get_running_loop().call_later(0.05, gate.set)
    backend = FakeBackend(reply=SAID)
    async with client_of(backend, embedded(tmp_path)) as client:
        await chat(client, json=ask("My dog?"))
    assert "Rex" in last_content(backend)


async def test_a_store_that_can_not_be_written(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Answers go on without a store, and the log says why."""
    (tmp_path / "memory.db").mkdir()
    async with client_of(FakeBackend(reply=SAID), embedded(tmp_path)) as client:
        answer = await chat(client)
    assert (answer.status_code, answer.headers["x-memory"]) == (200, "error")
    assert "memory: the request goes on without" in caplog.text


async def test_what_was_deleted_is_no_hit(tmp_path: Path) -> None:
    """When the file goes, the same question, its tool loop too, finds nothing any more."""
    backend = FakeBackend(reply=SAID)
    async with client_of(backend, embedded(tmp_path)) as client:
        await chat(client, json=ask("My dog is called Rex."))
    async with client_of(backend, embedded(tmp_path, write_back=False)) as client:
        asked = ask("My dog?")
        assert (await chat(client, json=asked)).headers["x-memory"] == "hit"
        (tmp_path / "memory.db").unlink()
        loop = {
            **asked,
            "messages": [*asked["messages"], {"role": "tool", "tool_call_id": "1", "content": "7"}],
        }
        assert (await chat(client, json=loop)).headers["x-memory"] == "miss"
        assert "Rex" not in json.dumps(backend.calls[-1].params)


async def test_a_damaged_store_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The log says so at the start and readiness meanwhile, which stays 200; when it is mended, both is over."""
    path = tmp_path / "memory.db"
    path.write_text("no database, " * 1000)
    backend = FakeBackend(reply=SAID)
    async with client_of(backend, embedded(tmp_path)) as client:
        assert "can't be used (DatabaseError: file is not a database)" in caplog.text
        ready = await client.get("/health/readiness")
        assert (ready.status_code, ready.json()["memory"]) == (
            200,
            "off: DatabaseError: file is not a database",
        )
        assert (await chat(client, json=ask("My dog is called Rex."))).headers["x-memory"] == "error"
        path.unlink()
        assert (await client.get("/health/readiness")).json() == {"status": "ready"}
        await chat(client, json=ask("My dog is called Rex."))
        assert (await chat(client, json=ask("My dog?"))).headers["x-memory"] == "hit"


async def test_a_store_that_never_answers_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Readiness waits no longer than its limit for a store."""
    monkeypatch.setattr("proxies.memory.context.CHECK_SECONDS", 0.01)
    monkeypatch.setattr("proxies.memory.embedded.EmbeddedStore.check", lambda _: asyncio.Event().wait())
    memory = context.Memory(make_config(context_retrieval=embedded(tmp_path)))
    assert await memory.failure() == "no answer within 0.01 s"
    await memory.aclose()
