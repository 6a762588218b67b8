"""Picks the answer to a request: a stub that the test added, else the kit's default.

request ──Asked──> stubs of the test, most specific first ──> Stub.answer
                   none for this endpoint ──> the default
                   some, but none fits    ──> a mistake that names the nearest
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field, fields
from typing import Any

import httpx

from parity.kit.completion import Completion, Refusal
from parity.kit.mistakes import Notebook
from parity.kit.samples import Route

client_headers: ContextVar[Mapping[str, str] | None] = ContextVar("client_headers", default=None)
"""The headers of the client's request that a mock is asked on behalf of: proxies pass on only a few of them.
"""

COMPLETIONS: tuple[Route, ...] = ("chat/completions", "messages")
_UNVERSIONED = re.compile(r"^/?(?:.*/)?v1/|^/")


def endpoint(path: str) -> str:
    """Return `chat/completions` for `/v1/chat/completions`, with or without a prefix before it."""
    return _UNVERSIONED.sub("", path, count=1)


@dataclass(frozen=True)
class Asked:
    """Holds a request at a mock.

    `headers`: lower-case names, the client's own and, over them, those of the request.
    """

    method: str
    path: str
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    streamed: bool = False
    by_litellm: bool = True

    @classmethod
    def of_request(cls, request: httpx.Request, *, streaming: bool, by_litellm: bool) -> Asked:
        """Build it from a request whose body was read.

        Without a JSON body, `streaming` says whether the answer is streamed.
        """
        try:
            body = json.loads(request.content) if request.content else None
        except ValueError:
            body = request.content.decode("utf-8", "replace")
        streamed = bool(body.get("stream")) if isinstance(body, dict) else streaming
        return cls(
            request.method, request.url.path, body, seen_headers(request.headers), streamed, by_litellm
        )

    @property
    def endpoint(self) -> str:
        return endpoint(self.path)

    @property
    def model(self) -> str | None:
        return self.body.get("model") if isinstance(self.body, dict) else None

    @property
    def says(self) -> str:
        """Return the text of the last message."""
        messages = self.body.get("messages") if isinstance(self.body, dict) else None
        content = messages[-1].get("content") if messages and isinstance(messages[-1], dict) else None
        if isinstance(content, list):
            return " ".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
        return str(content or "")

    def __str__(self) -> str:
        told = [f"model {self.model!r}"] if self.model else []
        told += [f"says {_short(self.says)}"] if self.says else []
        told += [f"body {_short(self.body)}"] if self.body and not told else []
        return f"{self.method} {self.path}" + (f" ({', '.join(told)})" if told else "")


def seen_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers of a request to a mock, laid over those of the client's request."""
    own = client_headers.get() or {}
    # Headers that the hop to LiteLLM sets by itself don't replace the client's own.
    passed_on = {k.lower(): v for k, v in headers.items() if not (own and k.lower() in _HOP)}
    return {**own, **passed_on}


_HOP = frozenset(
    {"accept", "accept-encoding", "authorization", "connection", "content-length", "host", "user-agent"}
)


@dataclass(frozen=True)
class When:
    """Selects the requests that a stub is for: all that is given must match; the most specific stub wins.

    `says`: a part of the last message. `user_agent`: how the client's starts, whatever the case. `headers`: the
    client's, or those of the request to the mock; names without case. `body`: keys of the JSON body.
    """

    model: str | None = None
    says: str | None = None
    path: str | None = None
    method: str | None = None
    user_agent: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] = field(default_factory=dict)

    @property
    def weight(self) -> int:
        return sum(bool(getattr(self, f.name)) for f in fields(self))

    def differences(self, asked: Asked) -> list[str]:
        """Return a part of a sentence for each condition that the request doesn't match."""
        return list(self._differences(asked))

    def _differences(self, asked: Asked) -> Iterator[str]:
        agent = asked.headers.get("user-agent", "")
        for name, wanted, given, fits in (
            ("method", self.method, asked.method, (self.method or "").upper() == asked.method),
            ("path", self.path, asked.path, endpoint(self.path or "") == asked.endpoint),
            ("model", self.model, asked.model, self.model == asked.model),
            ("says", self.says, asked.says, (self.says or "") in asked.says),
            ("user_agent", self.user_agent, agent, agent.lower().startswith((self.user_agent or "").lower())),
        ):
            if wanted is not None and not fits:
                yield f"{name}: the stub wants {_short(wanted)}, the request has {_short(given)}"
        for name, value in self.headers.items():
            if asked.headers.get(name.lower()) != value:
                given = asked.headers.get(name.lower())
                yield f"header {name}: the stub wants {_short(value)}, the request has {_short(given)}"
        body = asked.body if isinstance(asked.body, dict) else {}
        for name, value in self.body.items():
            if name not in body or body[name] != value:
                has = _short(body[name]) if name in body else "nothing"
                yield f"body {name}: the stub wants {_short(value)}, the request has {has}"

    def __str__(self) -> str:
        given = (f"{f.name}={getattr(self, f.name)!r}" for f in fields(self) if getattr(self, f.name))
        return f"When({', '.join(given)})"


Said = str | Completion | Refusal | httpx.Response
"""The result of a function of the request: the content, or a whole answer."""
Answer = Completion | Refusal | Callable[[Asked], Said]


@dataclass
class Stub:
    """Holds an answer that a test added. `endpoints`: None for every one."""

    label: str
    answer: Answer
    when: When = field(default_factory=When)
    endpoints: tuple[str, ...] | None = COMPLETIONS
    used: int = 0
    replaces: bool = False

    def is_about(self, asked: Asked) -> bool:
        if self.when.path is not None:
            return endpoint(self.when.path) == asked.endpoint
        return self.endpoints is None or asked.endpoint in self.endpoints

    def __str__(self) -> str:
        return self.label


class Stubs:
    """Holds the stubs of one mock, called `name` in messages."""

    def __init__(self, notebook: Notebook, name: str) -> None:
        self.name = name
        self.notebook = notebook
        self.fallback: Callable[[Asked], httpx.Response | None] = lambda asked: None
        """The answer at an endpoint for which the test has no stub, ahead of the kit's default."""
        self.strict = True
        """Whether a request that matches none of the stubs is a mistake."""
        self._stubs: list[Stub] = []
        self._asked: list[str] = []
        self._lock = threading.Lock()
        notebook.at_end(self._unused)

    def add(self, call: str, answer: Answer, when: When | None, endpoints: tuple[str, ...] | None) -> None:
        """Add a stub. `call`: how the test wrote it, such as `answers('Hello')`."""
        when = when or When()
        label = f"{self.name}.{call}" if when == When() else f"{self.name}.{call[:-1]}, when={when})"
        self._stubs.append(Stub(label, answer, when, endpoints))

    def put(self, label: str, answer: Answer, endpoints: tuple[str, ...] | None) -> None:
        """Replace all that was added for these endpoints by this stub; None is every endpoint."""
        self._stubs.append(Stub(label, answer, When(), endpoints, replaces=True))

    def find(self, asked: Asked) -> Stub | None:
        """Find the stub for a request and count it as used; None when the test has none for its endpoint.

        Of equally specific ones each answers once, in order, and the last one then goes on. Raises `MockMistake`.
        """
        with self._lock:
            self._asked.append(str(asked))
            about = [stub for stub in self._stubs if stub.is_about(asked)]
            if not about:
                return None
            about = about[max((n for n, stub in enumerate(about) if stub.replaces), default=0) :]
            fitting = [stub for stub in about if not stub.when.differences(asked)]
            if not fitting and not self.strict:
                return None
            if not fitting:
                raise self.notebook.mistake(self._nearest(asked, about))
            weight = max(stub.when.weight for stub in fitting)
            best = [stub for stub in fitting if stub.when.weight == weight]
            found = next((stub for stub in best if not stub.used), best[-1])
            found.used += 1
            return found

    def _nearest(self, asked: Asked, about: list[Stub]) -> str:
        near = min(about, key=lambda stub: len(stub.when.differences(asked)))
        return (
            f"No stub fits {asked}. The nearest is {near}; it differs in "
            f"{'; '.join(near.when.differences(asked))}."
        )

    def _unused(self) -> Iterator[str]:
        for stub in self._stubs:
            if not stub.used:
                seen = f"asked was: {'; '.join(self._asked[-3:])}" if self._asked else "nothing was asked"
                yield f"{stub} was never used: {seen}. Take the stub out, or make the request that it is for."


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
