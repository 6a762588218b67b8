"""Stands behind the proxies while they are attacked: a provider that answers, and a trap that nobody may reach."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from typing import Any

from tests import samples
from tests.answering import Answering


class Trap:
    """A listener on loopback that keeps the start of whatever connects. `url` is where to send it."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.received: list[bytes] = []
        """The beginning of each connection, `(connected)` before whatever it sent."""
        self._forgotten = 0
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._keep, args=(connection,), daemon=True).start()

    def _keep(self, connection: socket.socket) -> None:
        place = len(self.received)
        self.received.append(b"(connected)")
        with connection:
            connection.settimeout(2)
            try:
                while b"\r\n\r\n" not in self.received[place]:
                    piece = connection.recv(65536)
                    if not piece:
                        return
                    self.received[place] += piece
                connection.sendall(b"HTTP/1.1 418 -\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            except OSError:
                return

    def expect(self, connections: int, within: float) -> None:
        """Waits for so many, which are nobody's fault, and forgets them. Raises `TimeoutError`."""
        deadline = time.monotonic() + within
        while len(self.received) < connections:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{len(self.received)} of {connections} connections came")
            time.sleep(0.05)
        self._forgotten = len(self.received)

    def caught(self) -> list[bytes]:
        """What came that was not expected."""
        return self.received[self._forgotten :]

    def close(self) -> None:
        # Wakes the thread that waits for a connection.
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


def environment(trap: Trap) -> dict[str, str]:
    """Keys of providers that no configured model uses, and the trap as these providers' address."""
    return {
        "OPENAI_API_KEY": "sk-of-the-environment",
        "OPENAI_BASE_URL": f"{trap.url}/v1",
        "OPENAI_API_BASE": f"{trap.url}/v1",
        "ANTHROPIC_API_KEY": "sk-ant-of-the-environment",
        "ANTHROPIC_BASE_URL": trap.url,
        "ANTHROPIC_API_BASE": trap.url,
        "GROQ_API_KEY": "gsk-of-the-environment",
        "GROQ_API_BASE": f"{trap.url}/v1",
    }


class Provider:
    """OpenAI's and Anthropic's API in their plainest form; `requests` are those that came, oldest first.

    A request with a tool that LiteLLM would call itself (`advisor`, say) is answered with a call of that tool, so that
    an attack that gets so far shows.
    """

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.url = ""

    @contextmanager
    def serving(self) -> Iterator[Provider]:
        provider = self

        class Handler(Answering):
            def do_POST(self) -> None:
                body = self._body()
                headers = {name.lower(): value for name, value in self.headers.items()}
                provider.requests.append((self.path, headers, body))
                try:
                    asked = json.loads(body or b"{}")
                except ValueError:
                    asked = {}
                self._send(_answer(self.path, asked))

            def do_GET(self) -> None:
                if self.path.endswith("/models"):  # LiteLLM lists its deployments' models now and then
                    self._send({"object": "list", "data": []})
                    return
                self.do_POST()

            do_DELETE = do_PUT = do_PATCH = do_POST

            def _body(self) -> bytes:
                if "chunked" not in self.headers.get("transfer-encoding", ""):
                    return self.rfile.read(int(self.headers.get("content-length") or 0))
                body = b""
                while size := int(self.rfile.readline().strip() or b"0", 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
                return body

            def _send(self, document: dict[str, Any]) -> None:
                sent = json.dumps(document).encode()
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(sent)))
                self.end_headers()
                self.wfile.write(sent)

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            server.daemon_threads = True
            threading.Thread(target=server.serve_forever, daemon=True).start()
            self.url = f"http://127.0.0.1:{server.server_address[1]}"
            try:
                yield self
            finally:
                server.shutdown()


_CALLED_BY_LITELLM = ("advisor", "litellm_file_search")


def _answer(path: str, asked: Any) -> dict[str, Any]:
    tools = asked.get("tools") or [] if isinstance(asked, dict) else []
    names = [tool.get("name") or (tool.get("function") or {}).get("name") for tool in tools]
    called = next((name for name in _CALLED_BY_LITELLM if name in names), None)
    if path.endswith("/messages"):
        return _message(called)
    if path.endswith("/chat/completions"):
        return _completion(called)
    if path.endswith("/completions"):
        return {
            "id": "cmpl-1",
            "object": "text_completion",
            "created": 1,
            "model": "m",
            "choices": [{"index": 0, "text": "Hi.", "finish_reason": "stop", "logprobs": None}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
        }
    if path.endswith("/files"):
        about = {"bytes": 1, "created_at": 1, "filename": "a", "purpose": "assistants", "status": "processed"}
        return {"id": "file-1", "object": "file", **about}
    return {"id": "object-1", "object": "list", "data": [], "results": [], "model": "m"}


def _completion(called: str | None) -> dict[str, Any]:
    if not called:
        return samples.completion("Hi.")
    function = {"name": called, "arguments": '{"question": "?", "queries": ["?"]}'}
    message = {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "call_1", "type": "function", "function": function}],
    }
    return samples.completion(choices=[{"index": 0, "message": message, "finish_reason": "tool_calls"}])


def _message(called: str | None) -> dict[str, Any]:
    if not called:
        return samples.message("Hi.")
    block = {"type": "tool_use", "id": "toolu_1", "name": called, "input": {"question": "?"}}
    return samples.message(content=[block], stop_reason="tool_use")
