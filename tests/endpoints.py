"""Servers that answer every request wrongly in one way, and a right one: what a URL may turn out to be.

Each is an application; `served` puts it on a socket.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from http.server import ThreadingHTTPServer
from typing import Any

from tests.answering import Answering
from tests.samples import completion

KEY = "sk-a-key-of-theirs-0123456789"
MODEL = "gpt-theirs"
Answer = tuple[int, dict[str, str], bytes]
Endpoint = Callable[["Asked"], Answer]


class Asked(Answering):
    """A request as an endpoint sees it; `count` says how many came before it."""

    endpoint: Endpoint
    count = 0

    @property
    def json(self) -> Any:
        return json.loads(self.read) if self.read else None

    def _answer(self) -> None:
        self.read = self.rfile.read(int(self.headers.get("content-length", 0)))
        status, headers, body = type(self).endpoint(self)
        type(self).count += 1
        if status == 0:  # hang up
            self.close_connection = True
            return
        self.send_response(status)
        for name, value in {**headers, "content-length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = do_HEAD = _answer


@contextlib.contextmanager
def served(endpoint: Endpoint) -> Iterator[str]:
    """Serve an endpoint on loopback while the context lasts; its base URL."""
    handler = type("Handler", (Asked,), {"endpoint": staticmethod(endpoint)})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def as_json(document: Any, status: int = 200, **headers: str) -> Answer:
    return status, {"content-type": "application/json", **headers}, json.dumps(document).encode()


def error(status: int, message: str) -> Answer:
    return as_json({"error": {"message": message, "type": "x", "param": None, "code": None}}, status)


def right(asked: Asked) -> Answer:
    """One model, which answers whoever has the key."""
    if asked.headers.get("authorization") != f"Bearer {KEY}":
        return error(401, "Incorrect API key provided.")
    if asked.path == "/v1/models":
        return as_json({"object": "list", "data": [{"id": MODEL, "object": "model"}]})
    if asked.path != "/v1/chat/completions" or asked.command != "POST":
        return error(404, "no such route")
    if asked.json.get("model") != MODEL:
        return error(404, "The model does not exist.")
    return as_json(completion())


def another(asked: Asked) -> Answer:
    """The right one, with a header more on every answer."""
    status, headers, body = right(asked)
    return status, {**headers, "x-served-by": "another"}, body


def file_server(asked: Asked) -> Answer:
    """Files, and no API."""
    page = b"<!doctype html><title>Directory listing</title>"
    return (200 if asked.command == "GET" else 501), {"content-type": "text/html"}, page


def other_api(asked: Asked) -> Answer:
    """JSON for whatever is asked."""
    return as_json({"ok": True})


def refuses_in_a_success(asked: Asked) -> Answer:
    """Failures that are called 200."""
    return as_json({"error": {"message": "no", "type": "x", "param": None, "code": None}})


def broken(asked: Asked) -> Answer:
    """Never well."""
    return error(503, "No capacity.")


def lists_only(asked: Asked) -> Answer:
    """Models, and no route to them."""
    if asked.path == "/v1/models":
        return right(asked)
    return 404, {"content-type": "text/plain"}, b"404 page not found"


def moved(asked: Asked) -> Answer:
    """A page to log in on, somewhere else."""
    return 302, {"location": "/login"}, b""


def soon(fails: Answer) -> Endpoint:
    """The right one for two requests, which are the first questions; then it fails."""

    def endpoint(asked: Asked) -> Answer:
        return right(asked) if type(asked).count < 2 else fails

    return endpoint


HANGS_UP: Answer = (0, {}, b"")
