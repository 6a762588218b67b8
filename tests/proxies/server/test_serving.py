from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import click
import httpx
import pytest
import uvicorn

from proxies.binary.process import LiteLLMProcessError
from proxies.config.limits import Limits
from proxies.server import serving
from proxies.server.serving import Crash, Service, SetUpError, bind, serve, url_of
from tests.proxies.front.fakes import KEY
from tests.proxies.server.running import HEADERS, PLAIN, STREAM, Running, refused, until


@contextlib.contextmanager
def streaming(url: str) -> Iterator[Iterator[str]]:
    """The lines of a stream of which the first has been read."""
    with (
        httpx.Client(trust_env=False, timeout=20, headers=HEADERS) as client,
        client.stream("POST", f"{url}/v1/chat/completions", json=STREAM) as answer,
    ):
        assert answer.status_code == 200
        lines = answer.iter_lines()
        assert "Hello" in next(lines)
        yield lines


def events(lines: Iterator[str]) -> list[str]:
    return [line.removeprefix("data: ") for line in lines if line]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stream_may_end_while_nobody_new_comes_in(
    run: Callable[..., Running], number: signal.Signals
) -> None:
    """After a signal new connections are refused, a stream under way ends in its own time, exit code 0."""
    running = run("steady", "--grace", "60")
    url = running.line()
    with streaming(url) as lines:
        running.signal(number)
        until(lambda: refused(url))
        assert running.process.poll() is None
        running.go.touch()
        assert events(lines) == ["[DONE]"]
    assert running.end() == (0, "steady closed\n", "")


def test_what_is_left_after_the_grace_is_told(run: Callable[..., Running]) -> None:
    """A stream gets one error event and its end, a plain request 503 with retry-after; then all is closed."""
    running = run("steady", "--grace", "0.5")
    url = running.line()
    answers: list[httpx.Response] = []

    def ask() -> None:
        answers.append(
            httpx.post(f"{url}/v1/chat/completions", json=PLAIN, headers=HEADERS, trust_env=False, timeout=20)
        )

    waiting = threading.Thread(target=ask)
    with streaming(url) as lines:
        waiting.start()
        until(lambda: _in_flight(url) == 2)
        running.signal()
        error, *end = events(lines)
        assert end == ["[DONE]"]
        assert json.loads(error)["error"]["type"] == "overloaded_error"
        assert json.loads(error)["error"]["message"] == "The proxy is shutting down."
    waiting.join(20)
    assert (answers[0].status_code, answers[0].headers["retry-after"]) == (503, "1")
    code, out, err = running.end()
    assert (code, out) == (0, "steady closed\n")
    assert "stopping: 2 requests have not ended by themselves" in err
    assert "Traceback" not in err


def _in_flight(url: str) -> float:
    told = httpx.get(f"{url}/metrics", trust_env=False, verify=False).text
    rows = [line.split() for line in told.splitlines() if "in_flight" in line and line[0] != "#"]
    return sum(float(row[-1]) for row in rows if "/metrics" not in row[0])


def test_a_second_signal_ends_the_grace(run: Callable[..., Running]) -> None:
    """Who asks twice needn't wait, and still everything is told and closed."""
    running = run("steady", "--grace", "600")
    url = running.line()
    with streaming(url) as lines:
        running.signal(signal.SIGINT)
        until(lambda: refused(url))
        running.signal(signal.SIGTERM)
        error, end = events(lines)
        assert "shutting down" in error
        assert end == "[DONE]"
    code, out, err = running.end()
    assert (code, out) == (0, "steady closed\n")
    assert "Traceback" not in err


def test_a_client_that_does_not_read_holds_nobody_up(run: Callable[..., Running]) -> None:
    """It can't be told anything, so it is cut off, without a traceback."""
    running = run("flood", "--grace", "0.2")
    url = running.line()
    port = int(url.rpartition(":")[2])
    body = json.dumps(STREAM).encode()
    with socket.create_connection(("127.0.0.1", port)) as client:
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n"
        client.sendall(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        client.recv(100)
        running.signal()
        code, out, err = running.end()
    assert (code, out) == (0, "flood closed\n")
    assert "Traceback" not in err


def test_a_signal_during_the_start_gives_it_up(run: Callable[..., Running]) -> None:
    """What was started before is closed, what is starting is given up, exit code 0."""
    running = run("steady", "slow", "--grace", "600")
    assert running.line() == "slow starting"
    running.signal()
    code, out, err = running.end()
    assert code == 0
    assert sorted(out.splitlines()) == ["slow closed", "steady closed"]
    assert err == ""


def test_one_that_cannot_start_takes_the_others_down(run: Callable[..., Running]) -> None:
    """Exit code 2, the reason once and redacted; what was started before is closed."""
    running = run("steady", "broken", "--grace", "600")
    code, out, err = running.end()
    assert code == 2
    assert "steady closed" in out
    assert "memory-proxy broken could not start" in err
    assert err.count("Traceback") == 1
    assert "hunter22" not in err


async def _app(scope: Any, receive: Any, send: Any) -> None:
    assert scope["type"] == "lifespan"
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


def _failing(error: BaseException) -> Callable[[], Any]:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": f"Traceback of {error}"})
        raise error

    return lambda: app


def test_one_that_ends_by_itself_is_a_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 1, with its name, so that whoever supervises us starts us again."""

    async def no_loop(self: uvicorn.Server) -> None: ...

    monkeypatch.setattr(uvicorn.Server, "main_loop", no_loop)
    with pytest.raises(Crash, match="memory-proxy binary ended by itself") as caught:
        serve([Service("binary", lambda: _app, bind("127.0.0.1", 0))])
    assert caught.value.exit_code == 1


def test_a_failed_start_is_told_once() -> None:
    """What the app's start raised is the message, without a traceback when we foresaw it."""
    with pytest.raises(click.ClickException) as caught:
        serve([Service("binary", _failing(LiteLLMProcessError("no such luck")), bind("127.0.0.1", 0))])
    assert caught.value.message == "memory-proxy binary could not start: no such luck"
    assert caught.value.exit_code == 2


def test_an_unforeseen_failure_shows_its_place() -> None:
    """A bug comes with its traceback, redacted."""
    with pytest.raises(SetUpError) as caught:
        serve([Service("binary", _failing(KeyError("api_key=hunter22")), bind("127.0.0.1", 0))])
    assert "Traceback" in caught.value.message
    assert "hunter22" not in caught.value.message


def test_a_port_that_another_listens_on_by_then_is_told() -> None:
    """Two may bind a port at the same moment; the second to listen says so, exit code 2, and its app is closed."""
    first = bind("127.0.0.1", 0)
    with first, socket.socket() as second:
        second.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        second.bind(first.getsockname())
        second.listen()
        with pytest.raises(SetUpError, match=f"can't listen on 127.0.0.1:{first.getsockname()[1]}"):
            serve([Service("binary", lambda: _app, first)])


async def test_too_many_open_files_are_told_once_in_a_while(caplog: pytest.LogCaptureFixture) -> None:
    """asyncio complains of each connection that it can't accept, thousands of times; the log has one line of it."""
    loop, errors = asyncio.get_running_loop(), serving._LoopErrors()
    for _ in range(1000):
        full = OSError(errno.EMFILE, "Too many open files")
        errors(loop, {"message": "socket.accept() out of system resource", "exception": full})
    errors(loop, {"message": "Exception in callback X._start_serving()", "exception": ValueError("closed")})
    errors(loop, {"message": "something else", "exception": ValueError("a bug")})
    assert [record.getMessage() for record in caplog.records] == [
        "new connections have to wait: Too many open files; raise `ulimit -n`",
        "something else",
    ]


def test_readiness_knows_of_the_stop() -> None:
    """From the signal on, which is a moment before new connections are refused."""
    with bind("127.0.0.1", 0) as sock:
        server = serving._Server(Service("binary", lambda: _app, sock), Limits())
        assert not server._app.draining.begun
        server.stop()
        assert server._app.draining.begun


def test_few_are_accepted_at_once_and_many_may_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a crowd would take all files before the first of it is refused."""
    waiting: list[int] = []

    class Sock(socket.socket):
        def listen(self, backlog: int = 0, /) -> None:
            waiting.append(backlog)
            super().listen(backlog)

    async def no_loop(self: uvicorn.Server) -> None: ...

    monkeypatch.setattr(uvicorn.Server, "main_loop", no_loop)
    sock = Sock()
    sock.bind(("127.0.0.1", 0))
    with pytest.raises(Crash):
        serve([Service("binary", lambda: _app, sock)])
    assert waiting == [64, 2048]


def test_answers_leave_at_once() -> None:
    """asyncio turns Nagle's delay off only for sockets that name their protocol."""
    with bind("127.0.0.1", 0) as sock:
        assert sock.proto == socket.IPPROTO_TCP


def test_the_url_of_a_socket() -> None:
    """IPv6 addresses stand in brackets."""
    with bind("127.0.0.1", 0) as sock:
        assert url_of(sock) == f"http://127.0.0.1:{sock.getsockname()[1]}"
    try:
        six = bind("::1", 0)
    except SetUpError:
        pytest.skip("no IPv6 here")
    with six:
        assert url_of(six) == f"http://[::1]:{six.getsockname()[1]}"


def test_the_grace_has_a_default() -> None:
    """Long enough for most answers."""
    assert serving.GRACE == 10.0
