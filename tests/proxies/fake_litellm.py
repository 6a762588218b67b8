"""Stands in for the litellm package: same console entry, same health route, no seconds of import.

The environment variable FAKE_LITELLM of the moment says what goes wrong at a start: `dies`, `hangs`, `taken` (the port,
once), `dies warming`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from proxies.binary import process as litellm_process

SOURCE = """
import http.server, json, os, pathlib, sys, time
def run_server():
    options = dict(zip(sys.argv[1::2], sys.argv[2::2]))
    behaviour = os.environ.get("FAKE_LITELLM", "")
    seen = pathlib.Path(os.environ["FAKE_SEEN"])
    config = pathlib.Path(options["--config"]).read_text()
    draft = seen.with_suffix(f".{os.getpid()}")  # renamed, so that nobody reads half of it
    draft.write_text(json.dumps({"pid": os.getpid(), "argv": sys.argv, "config": config}))
    os.replace(draft, seen)
    print("starting with master key", os.environ["LITELLM_MASTER_KEY"], flush=True)
    if behaviour == "taken" and not seen.with_suffix(".once").exists():
        seen.with_suffix(".once").touch()
        sys.exit("[Errno 98] error while attempting to bind: address already in use")
    if behaviour == "dies":
        sys.exit("ImportError: no fastapi here")
    if behaviour == "hangs":
        time.sleep(60)
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            known = self.headers["authorization"] == "Bearer " + os.environ["LITELLM_MASTER_KEY"]
            self.answer(200 if known or self.path == "/health/liveliness" else 401)
        def do_POST(self):
            if behaviour == "dies warming":
                print("cannot bear it", flush=True)
                os._exit(3)
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            with seen.with_suffix(".models").open("a") as file:
                print(body["model"], file=file)
            self.answer(500)
        def answer(self, status):
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()
        def log_message(self, *args):
            pass
    http.server.HTTPServer(("127.0.0.1", int(options["--port"])), Handler).serve_forever()
"""


def install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], dict[str, Any]]:
    """From now on LiteLLM processes are this one; the result tells what the last one was started with."""
    package = folder / "litellm"
    package.mkdir()
    (package / "__init__.py").write_text(SOURCE)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.setenv("FAKE_SEEN", str(folder / "seen.json"))
    monkeypatch.setattr(
        litellm_process, "find_command", lambda: [sys.executable, "-c", litellm_process._BOOT]
    )

    def seen() -> dict[str, Any]:
        result: dict[str, Any] = json.loads((folder / "seen.json").read_text())
        return result

    return seen
