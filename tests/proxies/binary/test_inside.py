"""What runs in the LiteLLM process before LiteLLM does."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from proxies.binary import inside
from proxies.binary.inside import (
    LIMITS_VARIABLE,
    UNASKED_HEADER,
    Marking,
    prepare,
    variables,
    write_for_others,
)
from proxies.egress import AnswerLimits


@pytest.fixture
def prepared(monkeypatch: pytest.MonkeyPatch) -> None:
    """`prepare` with small limits, undone behind the test."""
    monkeypatch.setattr(httpx.AsyncClient, "__init__", httpx.AsyncClient.__init__)
    monkeypatch.setattr(httpx.Client, "__init__", httpx.Client.__init__)
    monkeypatch.setattr(uvicorn.Config, "load", uvicorn.Config.load)
    prepare(variables(AnswerLimits(answer=1000, frame=100, ratio=10)))


def test_limits_travel_in_the_environment() -> None:
    """Three numbers, which need no parser."""
    assert variables(AnswerLimits(1, 2, 3)) == {LIMITS_VARIABLE: "1,2,3"}


@pytest.mark.usefixtures("prepared")
async def test_every_client_is_guarded() -> None:
    """Whoever makes a client has one that goes nowhere else and takes no more; its own hooks stay."""
    seen: list[httpx.Response] = []

    async def own(response: httpx.Response) -> None:
        seen.append(response)

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/away":
            return httpx.Response(302, headers={"location": "http://other.test/"})
        return httpx.Response(200, json={"a": "x" * 2000})

    transport = httpx.MockTransport(answer)
    async with httpx.AsyncClient(
        transport=transport, follow_redirects=True, event_hooks={"response": [own]}
    ) as client:
        assert (await client.post("http://provider.test/away")).status_code == 502
        assert "larger than 1000 bytes" in (await client.post("http://provider.test/")).text
    assert len(seen) == 2
    with httpx.Client(transport=transport, follow_redirects=True) as plain:
        assert plain.post("http://provider.test/away").status_code == 502


@pytest.mark.usefixtures("prepared")
def test_what_is_served_marks_its_errors() -> None:
    """Uvicorn's application is wrapped when it is loaded."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError

    config = uvicorn.Config(app, log_config=None)
    config.load()
    assert isinstance(config.loaded_app, Marking)


@pytest.mark.parametrize(
    ("status", "answered", "marked"),
    [
        (400, None, [(UNASKED_HEADER, "no")]),
        (400, 200, [(UNASKED_HEADER, "answered"), ("llm_provider-retry-after", "7")]),
        (400, 429, [("llm_provider-retry-after", "7")]),
        (200, None, []),
        (200, 200, []),
    ],
)
async def test_marks(
    status: int, answered: int | None, marked: list[tuple[str, str]], prepared: None
) -> None:
    """An error says whether a provider was asked, and answered with a success; the headers of its answer come along."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if answered:
            theirs = httpx.Response(answered, stream=httpx.ByteStream(b"{}"), headers={"retry-after": "7"})
            transport = httpx.MockTransport(lambda request: theirs)
            async with httpx.AsyncClient(transport=transport) as client:
                await client.post("http://provider.test/")
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def receive() -> Any:
        raise AssertionError

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    await Marking(app)({"type": "http"}, receive, send)
    assert sent[0]["headers"] == [(name.encode(), value.encode()) for name, value in marked]
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]


@pytest.mark.usefixtures("prepared")
async def test_a_stream_ends_with_its_request() -> None:
    """A provider's stream that is still read when the request is over is closed; a whole answer is nobody's."""
    closed: list[str] = []

    class Body(httpx.AsyncByteStream):
        def __init__(self, name: str) -> None:
            self.name = name

        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield b"data: {}\n\n"

        async def aclose(self) -> None:
            closed.append(self.name)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        client = httpx.AsyncClient(
            transport=httpx.MockTransport(lambda r: httpx.Response(200, stream=Body(r.url.path)))
        )
        for path, body in (("/v1/messages", {"stream": True}), ("/v1/files", {})):
            request = client.build_request("POST", f"http://provider.test{path}", json=body)
            await client.send(request, stream=True)
        assert closed == []

    async def nothing(*_: Any) -> None: ...

    await Marking(app)({"type": "http"}, nothing, nothing)
    assert closed == ["/v1/messages"]


async def test_what_is_no_request_passes() -> None:
    """The lifespan is the application's own business."""
    scopes: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scopes.append(scope["type"])

    async def nothing(*_: Any) -> None: ...

    await Marking(app)({"type": "lifespan"}, nothing, nothing)
    assert scopes == ["lifespan"]


def test_another_environments_python_is_prepared(tmp_path: Path) -> None:
    """A Python that finds the folder guards its clients, and still runs the file of that name that it has itself."""
    own = tmp_path / "own"
    own.mkdir()
    (own / "sitecustomize.py").write_text("import sys\nsys.own_was_here = True\n")
    places = [str(write_for_others(tmp_path)), str(own), *sys.path]
    code = (
        "import sys, httpx, proxies.binary.inside as i\n"
        "print(i.__file__, len(httpx.AsyncClient().event_hooks['response']), sys.own_was_here)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **variables(AnswerLimits()), "PYTHONPATH": os.pathsep.join(filter(None, places))},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert ended.stdout.split() == [str(tmp_path / "inside/proxies/binary/inside.py"), "1", "True"], (
        ended.stderr
    )
    assert Path(inside.__file__).read_text() == (tmp_path / "inside/proxies/binary/inside.py").read_text()
