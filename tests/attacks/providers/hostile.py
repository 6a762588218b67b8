"""Stands behind both proxies as a provider that means harm: it sends them elsewhere, or more than anybody can take.

The first part of a deployment's address says what the provider does there:

    /302/elsewhere/v1/…   a redirect to the trap        /307/here/v1/…   to the same origin, which then answers
    /huge/v1/…            an endless plain answer       /bomb/v1/…       a small one that unpacks to 200 MB
    /line/v1/…            a stream that is one line     /bad/v1/…        an answer that is well
"""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import threading
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx

from parity.targets.arms import ARMS
from parity.targets.stack import START_DEADLINE, ProxyProcess
from tests import samples
from tests.answering import Answering

KEY = "sk-of-the-attacks-0123456789abcdef"
PROVIDER_KEY = "the-providers-own-key"
PLACES = (
    *(f"{status}/{where}" for status in (301, 302, 303, 307, 308) for where in ("elsewhere", "here")),
    *("307/loop", "307/relative", "307/user", "307/port", "300/here", "307/nowhere"),
    *("huge", "bomb", "bombs", "brotli", "line", "well"),
)
MAX_ANSWER = 1024 * 1024
MAX_FRAME = 256 * 1024


@dataclass
class Seen:
    """What reached a listener, in order: the path, the headers with lower-case names, the body."""

    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    sent: int = 0
    """Bytes of the last endless answer."""


@dataclass(frozen=True)
class Scene:
    """Both proxies by their URLs, what the provider was asked, and what reached the trap."""

    urls: Mapping[str, str]
    pids: Mapping[str, int]
    provider: Seen
    trap: Seen
    client: httpx.Client

    def ask(self, arm: str, model: str, route: str = "chat/completions", **more: Any) -> httpx.Response:
        """The proxy's answer to a question to `model` on behalf of a user with the key."""
        question = {"messages": [{"role": "user", "content": "a secret question"}], "max_tokens": 9}
        body = {"input": "a secret question"} if route in ("responses", "embeddings") else question
        return self.client.post(
            f"{self.urls[arm]}/v1/{route}",
            json={"model": model, **body, **more},
            headers={"authorization": f"Bearer {KEY}"},
        )


@contextmanager
def scene(folder: Path) -> Iterator[Scene]:
    """Both proxies in front of the hostile provider, stopped at the end."""
    with ExitStack() as closing:
        provider, trap = Seen(), Seen()
        elsewhere = closing.enter_context(_serving(trap, ""))
        url = closing.enter_context(_serving(provider, elsewhere))
        urls, pids = {}, {}
        path = folder / "config.json"
        path.write_text(json.dumps(_config(url)))
        for arm in ARMS:  # one after the other: each start keeps a processor busy
            process = ProxyProcess(arm, path)
            closing.callback(process.stop)
            urls[arm] = process.wait_listening(time.monotonic() + START_DEADLINE)
            pids[arm] = process.pid
        client = closing.enter_context(httpx.Client(timeout=60, trust_env=False))
        yield Scene(urls, pids, provider, trap, client)


def _config(url: str) -> dict[str, Any]:
    def model(name: str, model: str, base: str) -> dict[str, Any]:
        return {
            "model_name": name,
            "litellm_params": {"model": model, "api_base": base, "api_key": PROVIDER_KEY},
        }

    return {
        "model_list": [
            deployment
            for place in PLACES
            for deployment in (
                model(f"openai/{place}", "openai/gpt-4o-mini", f"{url}/{place}/v1"),
                model(f"claude/{place}", "anthropic/claude-3-5-haiku-20241022", f"{url}/{place}"),
            )
        ]
        + [
            model(f"groq/{place}", "groq/llama-3.1-8b-instant", f"{url}/{place}/v1")
            for place in ("302/elsewhere", "307/elsewhere", "308/elsewhere", "well")
        ],
        "general_settings": {"master_key": KEY},
        "limits": {"max_answer_bytes": MAX_ANSWER, "max_frame_bytes": MAX_FRAME},
    }


@contextmanager
def _serving(seen: Seen, elsewhere: str) -> Iterator[str]:
    class Handler(Answering):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            seen.requests.append((self.path, headers, body))
            place = next((p for p in PLACES if self.path.startswith(f"/{p}/") or self.path == f"/{p}"), "")
            self.close_connection = True
            with contextlib.suppress(OSError):
                if place[:1].isdigit():
                    self._redirect(place)
                elif place in ("huge", "bomb", "bombs", "brotli", "line"):
                    getattr(self, f"_{place}")()
                else:
                    self._send(200, json.dumps(_answer(self.path)).encode())

        do_GET = do_POST

        def _redirect(self, place: str) -> None:
            status, where = place.split("/")
            rest = self.path.removeprefix(f"/{place}")
            own = f"http://127.0.0.1:{self.server.server_address[1]}"
            target = {
                "elsewhere": f"{elsewhere}{rest}",
                "here": f"{own}/well{rest}",
                "relative": f"/well{rest}",
                "loop": self.path,
                "user": f"http://user:word@127.0.0.1:{self.server.server_address[1]}/well{rest}",
                "port": f"http:/well{rest}",
                "nowhere": "http://[",
            }[where]
            self._send(int(status), b"", location=target)

        def _huge(self) -> None:
            self._send(200, None)
            self._pour(b'{"id": "', b"x" * 65536, 512)

        def _bomb(self) -> None:
            packed = gzip.compress(b'{"id": "' + b"x" * 200_000_000 + b'"}', 1)
            self._send(200, packed, content_encoding="gzip")

        def _bombs(self) -> None:
            packer = zlib.compressobj(wbits=31)
            self._send(200, None, content_encoding="gzip", content_type="text/event-stream")
            self._pour(
                b"", packer.compress(b"data: " + b"x" * 50_000_000) + packer.flush(zlib.Z_SYNC_FLUSH), 4
            )

        def _brotli(self) -> None:
            self._send(200, b"\x0b\x02\x80{}\x03", content_encoding="br")

        def _line(self) -> None:
            self._send(200, None, content_type="text/event-stream")
            self._pour(b"data: ", b"x" * 65536, 512)

        def _pour(self, first: bytes, piece: bytes, times: int) -> None:
            seen.sent = 0
            self.wfile.write(first)
            for _ in range(times):
                self.wfile.write(piece)
                seen.sent += len(piece)

        def _send(self, status: int, body: bytes | None, **headers: str) -> None:
            self.send_response(status)
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            for name, value in {"content-type": "application/json", "connection": "close", **named}.items():
                self.send_header(name, value)
            if body is not None:
                self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body or b"")

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        server.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()


def _answer(path: str) -> dict[str, Any]:
    return samples.message("Hi.") if path.endswith("/messages") else samples.completion("Hi.")
