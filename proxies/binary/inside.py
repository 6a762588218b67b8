"""Runs in the LiteLLM process, before LiteLLM does: guards its clients, and marks what it refused by itself.

    LiteLLM's answer to us ── x-memory-proxy-asked: no ──  it failed before it asked the provider

It imports httpx alone at first, and of the project what does so, too: the process may be of another environment.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx

from proxies import egress
from proxies.answers import asked_at
from proxies.egress import AnswerLimits, Guard, add_hooks, noting_calls

LIMITS_VARIABLE = "MEMORY_PROXY_ANSWER_LIMITS"
"""The environment variable with the limits, three numbers with commas between them."""

UNASKED_HEADER = "x-memory-proxy-asked"
"""The header of an error that says `no` when no provider was asked, `answered` when one had, and with a success."""

_THEIRS = b"llm_provider-"
"""Stands before the names of the provider's headers in LiteLLM's answers. Some errors of it have none of them."""

MOST_HEADERS = 100 * 1024
"""Bytes that one header of a provider's answer may have; as many as httpx takes of all."""


def variables(limits: AnswerLimits) -> dict[str, str]:
    """Return the variables that the environment of the process needs."""
    return {LIMITS_VARIABLE: f"{limits.answer},{limits.frame},{limits.ratio}"}


_FOR_OTHERS = """
import sys
from proxies.binary.inside import prepare
prepare()
here = __file__.rpartition("/")[0]
sys.path = [place for place in sys.path if place != here]
sys.modules.pop("sitecustomize")
try:
    import sitecustomize
except ImportError:
    pass
"""
"""Is run by Python at its start where it is found; then the environment's own file of that name, if it has one."""


def write_for_others(directory: Path) -> Path:
    """A folder for the PYTHONPATH of a LiteLLM of another environment, so that it is prepared as ours is."""
    folder = directory / "inside"
    names = ("answers", "chunks", "claude_messages", "egress", "limited_body")
    modules = [Path(egress.__file__).with_name(f"{name}.py") for name in names]
    for name, source in {
        "proxies/__init__.py": "",
        "proxies/binary/__init__.py": "",
        "proxies/binary/inside.py": Path(__file__).read_text(encoding="utf-8"),
        **{f"proxies/{module.name}": module.read_text(encoding="utf-8") for module in modules},
        "sitecustomize.py": _FOR_OTHERS,
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(source, encoding="utf-8")
    return folder


def prepare(environment: Mapping[str, str] = os.environ) -> None:
    """Guard every HTTP client of this process from now on, and what uvicorn serves."""
    given = environment.get(LIMITS_VARIABLE)
    _guard_clients(Guard(AnswerLimits(*map(int, given.split(","))) if given else None, mends=True))
    _take_any_header()
    around_served(Marking)


def _take_any_header() -> None:
    """Let aiohttp take what httpx takes: long headers; and leave out those that are no ASCII, which httpx refuses."""
    try:
        import aiohttp
    except ImportError:
        return
    original = aiohttp.ClientSession.__init__

    class Response(aiohttp.ClientResponse):
        async def start(self, connection: Any) -> Any:
            started = await super().start(connection)
            kept = [(name, value) for name, value in self._headers.items() if value.isascii()]
            self._headers = type(self._headers)(type(self._headers.copy())(kept))
            self._cache.pop("headers", None)
            return started

    def __init__(self: Any, *args: Any, **options: Any) -> None:
        sizes = {"max_line_size": MOST_HEADERS, "max_field_size": MOST_HEADERS, "response_class": Response}
        original(self, *args, **{**sizes, **options})

    aiohttp.ClientSession.__init__ = __init__  # type: ignore[method-assign]


def _guard_clients(guard: Guard) -> None:
    for client, hooks in ((httpx.AsyncClient, guard.hooks), (httpx.Client, guard.sync_hooks)):
        _after_init(client, hooks)


def _after_init(client: Any, hooks: Any) -> None:
    original = client.__init__

    def __init__(self: Any, *args: Any, **options: Any) -> None:
        original(self, *args, **options)
        add_hooks(self, hooks())

    client.__init__ = __init__


def around_served(wrapper: Callable[[Any], Any]) -> None:
    """Put an ASGI application around what uvicorn serves in this process; the last one given is the outermost."""
    import uvicorn

    original = uvicorn.Config.load

    def load(self: Any) -> None:
        original(self)
        self.loaded_app = wrapper(self.loaded_app)

    uvicorn.Config.load = load  # type: ignore[method-assign]


class Marking:
    """An ASGI application that marks errors which come without a provider having been asked.

    It also ends the calls to providers that are still going on when their request has ended.
    """

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        with noting_calls() as calls, asked_at(str(scope.get("path", "")).removeprefix("/v1/")):

            async def marked(message: Any) -> None:
                failed = message["type"] == "http.response.start" and message["status"] >= 400
                if failed and (not calls or calls.answered):
                    said = (UNASKED_HEADER.encode(), b"answered" if calls else b"no")
                    message = {**message, "headers": [*message["headers"], said]}
                if (
                    failed
                    and calls.headers
                    and not any(name.startswith(_THEIRS) for name, _ in message["headers"])
                ):
                    theirs = [
                        (_THEIRS + name.encode(), value.encode()) for name, value in calls.headers.items()
                    ]
                    message = {**message, "headers": [*message["headers"], *theirs]}
                await send(message)

            try:
                await self._app(scope, receive, marked)
            finally:
                # LiteLLM reads a message of Claude's to its end, though its client has left.
                await calls.end()
