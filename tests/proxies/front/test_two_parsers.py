"""Drives both parsers with the same bytes: LiteLLM reads what was checked here, or nothing goes up."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from proxies.backend import Forwarded
from proxies.config.models import ENVIRONMENT_ROUTES
from proxies.errors import ProxyError
from proxies.front.passthrough import forward
from proxies.front.services import Services
from proxies.front.steering import is_steering
from tests.proxies.front.fakes import KEY, make_config

parsing = pytest.importorskip("litellm.proxy.common_utils.http_parsing_utils", exc_type=ImportError)

Read = dict[str, Any]
CONFIG = make_config(general_settings={"master_key": KEY, "environment_routes": list(ENVIRONMENT_ROUTES)})


class Upstream:
    """Keeps what would be sent to LiteLLM, and reads it with LiteLLM's own code."""

    def __init__(self) -> None:
        self.request: Forwarded | None = None
        self.body = b""

    async def forward(self, request: Forwarded) -> Any:
        self.request = request
        if isinstance(request.body, bytes):
            self.body = request.body
        else:
            self.body = b"".join([piece async for piece in request.body])
        raise ProxyError(418, "read")

    async def read_by_litellm(self) -> Read:
        assert self.request is not None
        headers = [(name.encode(), value.encode()) for name, value in self.request.headers.items()]
        path = self.request.path
        scope = {"type": "http", "method": "POST", "path": path, "query_string": self.request.query.encode()}
        request = Request({**scope, "headers": headers}, _receive(self.body))
        body: Read = dict(await parsing.read_request_body(request))
        for name, value in body.items():
            if isinstance(value, UploadFile):
                body[name] = await value.read()
        await request.close()
        return {**parsing.safe_get_request_query_params(request), **body}


def _receive(body: bytes) -> Callable[[], Awaitable[dict[str, Any]]]:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


def handed_up(path: str, content: bytes, content_type: str | None, query: str = "") -> tuple[int, Read]:
    """The status of the refusal, or 418 and what LiteLLM reads."""

    async def ask() -> tuple[int, Read]:
        upstream = Upstream()
        services: Any = Services(CONFIG, upstream, None, None, None, None)  # type: ignore[arg-type]
        status = 0

        async def endpoint(request: Request) -> Response:
            nonlocal status
            try:
                await forward(services, request)
            except ProxyError as error:
                status = error.status
            return Response()

        app = Starlette(routes=[Route("/{path:path}", endpoint, methods=["POST"])])
        headers = {} if content_type is None else {"content-type": content_type}
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://proxy") as client:
            await client.post(f"{path}?{query}" if query else path, content=content, headers=headers)
        return status, await upstream.read_by_litellm() if status == 418 else {}

    return asyncio.run(ask())


NAMES = st.sampled_from(
    ["model", "prompt", "api_base", "custom_llm_provider", "metadata", "tools", "litellm_x", "user", "é", ""]
)
LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(NAMES | st.text(max_size=8), VALUES, max_size=5)
DAMAGE = st.sampled_from(
    [b"", b"\xef\xbb\xbf", b"\xff", b"x", b" ", b"\x00", b"[" * 1100, b"{", b'"', b'"\\ud800"']
)
CONTENT_TYPES = st.one_of(
    st.none(),
    st.sampled_from(
        [
            "application/json",
            "application/json; charset=utf-8",
            "application/json;form",
            "application/x-www-form-urlencoded",
            "application/x-protobuf",
            "multipart/form-data; boundary=b",
            "multipart/form-data; charset=utf-7; boundary=b",
            "text/plain",
            "",
        ]
    ),
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30),
)
RELAXED = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


def is_harmless(read: Read) -> bool:
    return not any(is_steering(name) for name in read)


@RELAXED
@example({"model": "fast"}, b"\xef\xbb\xbf", b"", "application/json")
@example({"model": "fast"}, b"", b"", "application/x-www-form-urlencoded")
@given(OBJECTS, DAMAGE, DAMAGE, CONTENT_TYPES)
def test_json(value: Read, before: bytes, after: bytes, content_type: str | None) -> None:
    """Whatever the bytes and whatever they say to be: refused, or read upstream as here, and nothing in it steers."""
    content = before + json.dumps(value).encode() + after
    status, read = handed_up("/v1/batches", content, content_type)
    assert status in (400, 415, 418)
    if status == 418:
        assert read == json.loads(content.decode("utf-8-sig"))
        assert is_harmless(read)


FIELD_NAMES = st.one_of(
    NAMES,
    st.sampled_from(
        [
            "api_base[]",
            "metadata[api_base]",
            "litellm_metadata[a]",
            "image[]",
            'a"b',
            "a\r\nb",
            "a; name=api_base",
        ]
    ),
    st.text(max_size=8),
)


@st.composite
def forms(draw: st.DrawFn) -> bytes:
    """Parts as they are usually written, and as they aren't."""
    body = b""
    for _ in range(draw(st.integers(0, 4))):
        name = draw(FIELD_NAMES)
        style = draw(
            st.sampled_from(['form-data; name="{}"', "form-data; name={}", 'form-data; name="a"; name="{}"'])
        )
        style = draw(
            st.sampled_from([style, f'{style}; filename="f"', style.replace("name=", "name*=utf-8''")])
        )
        extra = draw(st.sampled_from([b"", b"Content-Type: text/plain; charset=utf-7\r\n", b"X: y\r\n"]))
        header = style.format(name).encode("utf-8", "surrogatepass")
        content = draw(st.binary(max_size=20) | st.just(b'{"api_base": "x"}') | st.just(b"fast"))
        body += b"--b\r\nContent-Disposition: %b\r\n%b\r\n%b\r\n" % (header, extra, content)
    return body + draw(st.sampled_from([b"--b--\r\n", b"--b--", b"--b", b"", b"--b--\r\nmore"]))


@RELAXED
@example(b'--b\r\nContent-Disposition: form-data; name="metadata[api_base]"\r\n\r\nx\r\n--b--\r\n')
@given(forms())
def test_form(content: bytes) -> None:
    """However its fields are written, what LiteLLM reads of a form has no name that steers, and no metadata that do."""
    status, read = handed_up("/v1/images/edits", content, "multipart/form-data; boundary=b")
    assert status in (400, 404, 418)
    assert is_harmless({name.partition("[")[0]: value for name, value in read.items()})
    for prefix in ("metadata[", "litellm_metadata["):
        assert parsing.extract_nested_form_metadata(read, prefix) == {}
    if isinstance(read.get("metadata"), dict):
        assert "api_base" not in read["metadata"]
    if "model" in read:
        assert read["model"] in ("fast", b"fast")


@RELAXED
@given(
    st.dictionaries(
        st.text(max_size=6).filter(lambda n: n.isidentifier()), st.binary(max_size=50), max_size=4
    )
)
def test_a_right_form_is_read_as_it_was_sent(fields: dict[str, bytes]) -> None:
    """Files of any bytes arrive under their names."""
    names = [name for name in fields if name.isascii() and not is_steering(name)]
    parts = [
        b'--b\r\nContent-Disposition: form-data; name="%b"; filename="f"\r\n\r\n%b\r\n'
        % (name.encode(), fields[name])
        for name in names
    ]
    content = b"".join(parts) + b"--b--\r\n"
    status, read = handed_up("/v1/images/edits", content, "multipart/form-data; boundary=b")
    assert (status, read) == (418, {name: fields[name] for name in names})


QUERY_NAMES = st.sampled_from(["after", "limit", "api_key", "api_base", "model", "provider", "x"]) | st.text(
    max_size=5
)


@RELAXED
@given(
    st.lists(
        st.tuples(QUERY_NAMES, st.text(max_size=8).map(lambda s: s.encode("utf-8", "replace"))), max_size=4
    ),
    st.sampled_from(["", "&", ";x=1", "&&limit", "%zz", "?model=x"]),
)
def test_query(pairs: list[tuple[str, bytes]], end: str) -> None:
    """What LiteLLM reads of a query is on the route's list, each once."""
    query = urlencode([(name.encode("utf-8", "replace"), value) for name, value in pairs]) + end
    status, read = handed_up("/v1/batches", b"", None, query)
    assert status in (400, 418)
    assert read.keys() <= {"after", "limit"}
    if status == 418:
        assert {name for name, _ in pairs} <= read.keys()


async def test_the_reader_is_litellms_own() -> None:
    """The check above can fail: without the front, LiteLLM reads a body as JSON whatever its content type says."""
    upstream = Upstream()
    headers = {"content-type": "application/json;form"}
    upstream.request = Forwarded("POST", "/v1/completions", "api_key=x", headers, b"")
    upstream.body = b'{"api_base": "y"}'
    assert await upstream.read_by_litellm() == {"api_key": "x", "api_base": "y"}
