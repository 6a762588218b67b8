"""Data routes through the whole binary app, with a LiteLLM process played by an httpx transport."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.routing import Match

from parity.targets.asgi import StreamingASGITransport
from proxies.binary.backend import BinaryBackend
from proxies.config.models import ENVIRONMENT_ROUTES, ProxyConfig
from proxies.front.app import build_app
from proxies.front.families import FAMILIES, METHODS
from proxies.front.steering import is_steering
from proxies.sessions import ProxySessionManager
from tests.proxies.front.fakes import KEY, Exchange, FakeBackend, make_config
from tests.upstream import Handler, Upstream

AUTH = {"authorization": f"Bearer {KEY}"}


def app_before(process: Upstream, **sections: Any) -> FastAPI:
    """The binary application in front of a LiteLLM process."""
    config = make_config(**sections)
    sessions = process.sessions(ProxySessionManager)
    return build_app(config, BinaryBackend(config, "http://litellm.test", "sk-process", sessions))


@pytest.fixture
def made() -> Callable[[Handler], Any]:
    """Makes a client of the binary app in front of a process that answers so, and gives that too."""

    def make(answer: Handler, **sections: Any) -> tuple[httpx.AsyncClient, Upstream]:
        process = Upstream(answer)
        transport = StreamingASGITransport(app_before(process, **sections))
        return httpx.AsyncClient(transport=transport, base_url="http://proxy", headers=AUTH), process

    return make


def ok(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, json={"object": "list"})


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("family", FAMILIES)
async def test_every_family_is_handed_on(made: Any, method: str, family: str) -> None:
    """Method, path as written, and query arrive; so does the process's own key instead of the client's."""
    client, process = made(ok)
    query = "?" + "&".join(f"{name}=x%2Fy" for name in sorted(FAMILIES[family].query) if "[" not in name)
    query = query.removesuffix("?")
    answer = await client.request(method, f"/v1/{family}/file-a%3D=/content{query}")
    assert (answer.status_code, answer.json()) == (200, {"object": "list"})
    [request] = process.requests
    assert request.method == method
    assert request.url.raw_path == f"/v1/{family}/file-a%3D=/content{query}".encode()
    assert request.headers["authorization"] == "Bearer sk-process"


@pytest.mark.parametrize("name", ["api_key", "api_base", "custom_llm_provider", "model", "provider", "x", ""])
@pytest.mark.parametrize("family", FAMILIES)
async def test_no_other_query_is(made: Any, family: str, name: str) -> None:
    """LiteLLM takes a query parameter for a parameter, so only those of the family's row go up."""
    client, process = made(ok)
    answer = await client.get(f"/v1/{family}/x?{name}=http://x")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, name)
    assert process.requests == []


@pytest.mark.parametrize(
    "path",
    [
        "/v1/key/generate",
        "/v1/user/new",
        "/v1/model/new",
        "/v1/vector_store/list",
        "/v1/mcp/server",
        "/v1/FILES",
        "/v1/files/",
        "/v1/files//x",
        "//v1/files",
        "/v1/files/../key/generate",
        "/v1/files/%2e%2e/key/generate",
        "/v1/files/%2E./key/generate",
        "/v1/files/.../x",
        "/v1/files/..%2fkey",
        "/v1/files/%252e%252e/key/generate",
        "/v1/files/a%5cb",
        "/v1/files/..;/key",
        "/v1/files/a;b=c",
        "/v1/files/a%00b",
        "/v1/files/a%0d%0ab",
        "/v1/files/a%3fb",
        "/v1/files/a%23b",
        "/v1/filesystem",
        "/files",
    ],
)
async def test_no_other_path_is(made: Any, path: str) -> None:
    """What is in no family, or could be read as another path, is 404 and reaches nobody."""
    client, process = made(ok)
    client.base_url = httpx.URL("http://proxy")
    request = client.build_request("POST", "http://proxy/")
    request.url = request.url.copy_with(raw_path=path.encode())
    answer = await client.send(request)
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "not_found"
    assert process.requests == []


async def test_the_key_comes_first(made: Any) -> None:
    """Without it nothing is handed on."""
    client, process = made(ok)
    answer = await client.post("/v1/moderations", json={}, headers={"authorization": "Bearer wrong"})
    assert (answer.status_code, process.requests) == (401, [])


async def test_the_body_is_written_anew(made: Any) -> None:
    """What was checked is what goes up: the same JSON in our own bytes, each name once, labelled as JSON."""
    client, process = made(ok)
    body = b'\xef\xbb\xbf{ "model":"x","model":"fast",  "input" : "\\u00e9\xc3\xa9", "n": [1.0, 12345678901234567890] }'
    for content_type in (
        "application/json",
        "application/json; charset=UTF-8",
        "application/x-www-form-urlencoded",
    ):
        await client.post("/v1/moderations", content=body, headers={"content-type": content_type})
        request = process.requests.pop()
        assert request.content == '{"model":"fast","input":"éé","n":[1.0,12345678901234567890]}'.encode()
        assert request.headers["content-type"] == "application/json"
        assert request.headers["content-length"] == str(len(request.content))


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json;form",
        "application/json; x",
        "application/json, multipart/form-data; boundary=b",
        "application/json; charset=utf-7",
        "application/jsonform",
        "application/x-protobuf",
        "application/octet-stream",
        "text/plain",
        "form",
        "",
        "multipart/form-data; boundary=b",
    ],
)
async def test_no_other_content_type_is_taken(made: Any, content_type: str) -> None:
    """LiteLLM would read all of these as JSON, or as nothing, whatever they say; here they are 415."""
    client, process = made(ok)
    body = b'{"model": "fast", "custom_llm_provider": "x"}'
    answer = await client.post("/v1/completions", content=body, headers={"content-type": content_type})
    assert (answer.status_code, answer.json()["error"]["code"]) == (415, "unsupported_media_type")
    assert "application/json" in answer.json()["error"]["message"]
    assert process.requests == []


@pytest.mark.parametrize("content_type", ["application/json", "application/x-www-form-urlencoded", None])
@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b'{"model": "fast", "api_base": "http://x"}', "api_base"),
        (b'{"model": "fast", "metadata": "{\\"langfuse_host\\": \\"x\\"}"}', "metadata.langfuse_host"),
        (b'{"model": "fast", "tools": [{"type": "advisor_20260301"}]}', "tools[0].type"),
        (b'{"model": "fast", "metadata": "no JSON"}', "metadata"),
        (b'{"model": "fast", "api_base": "http://x", "a": ' + b"[" * 300 + b"]" * 300 + b"}", None),
        (b"no JSON", None),
        (b"[]", None),
        (b'{"input": "x"}', "model"),
    ],
)
async def test_a_body_must_not_steer(
    made: Any, content_type: str | None, body: bytes, param: str | None
) -> None:
    """Whatever it says to be, a JSON object is read by LiteLLM, and so it is here."""
    client, process = made(ok)
    headers = {} if content_type is None else {"content-type": content_type}
    answer = await client.post("/v1/moderations", content=body, headers=headers)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
    assert process.requests == []


@pytest.mark.parametrize("model", ["groq/llama", "fast,other", ["fast"], 1])
@pytest.mark.parametrize("path", ["moderations", "completions", "images/generations", "responses/compact"])
async def test_only_configured_models_are_asked(made: Any, path: str, model: Any) -> None:
    """Where LiteLLM looks for the provider by the model, one that isn't configured is a 404, as everywhere."""
    client, process = made(ok)
    answer = await client.post(f"/v1/{path}", json={"model": model, "input": "x"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")
    assert process.requests == []


async def test_a_file_search_of_litellms_own_is_refused(made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """At a provider without one, that is; OpenAI's goes up, and assistants search at OpenAI anyway."""
    client, process = made(ok)
    monkeypatch.setattr("proxies.front.passthrough.has_own_file_search", lambda deployments: False)
    tools = [{"type": "file_search", "vector_store_ids": ["vs_1"]}]
    answer = await client.post("/v1/responses/compact", json={"model": "fast", "tools": tools})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "tools[0].type")
    answer = await client.post("/v1/assistants", json={"model": "gpt-4o", "tools": tools})
    assert (answer.status_code, len(process.requests)) == (200, 1)


async def test_a_batch_names_its_endpoint(made: Any) -> None:
    """What steers LiteLLM elsewhere is a parameter of this route."""
    client, process = made(ok)
    answer = await client.post("/v1/batches", json={"endpoint": "/v1/chat/completions"})
    assert (answer.status_code, len(process.requests)) == (200, 1)


def test_no_parameter_of_a_data_route_steers() -> None:
    """Names that these routes need are not on the list of those that steer."""
    needed = (
        "model input dimensions encoding_format user n size quality style response_format prompt query documents "
        "top_n voice speed instructions previous_response_id tools include store truncation reasoning training_file "
        "hyperparameters suffix seed completion_window input_file_id metadata purpose stream file_ids"
    )
    assert [name for name in needed.split() if is_steering(name)] == []


async def test_a_form_is_written_anew(made: Any) -> None:
    """Its parts go up under a boundary of ours, piece by piece, with the same names, texts and files."""
    client, process = made(ok)
    answer = await client.post(
        "/v1/files", data={"purpose": "batch"}, files={"file": ("a.jsonl", b"{}" * 99, "application/jsonl")}
    )
    assert answer.status_code == 200
    [request] = process.requests
    body = request.content
    boundary = request.headers["content-type"].removeprefix("multipart/form-data; boundary=").encode()
    assert body == (
        b'--%b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
        b'--%b\r\nContent-Disposition: form-data; name="file"; filename="a.jsonl"\r\n'
        b"Content-Type: application/jsonl\r\n\r\n%b\r\n--%b--\r\n"
        % (boundary, boundary, b"{}" * 99, boundary)
    )


@pytest.mark.parametrize(
    ("disposition", "param"),
    [
        ('form-data; name="extra_headers"', "extra_headers"),
        ("form-data; name=extra_headers", "extra_headers"),
        ('form-data; filename="a"; NAME="api_base"', "api_base"),
        ('form-data; name="api_base[]"', "api_base"),
        ('form-data; name="litellm_metadata[api_base]"', "litellm_metadata[api_base]"),
    ],
)
@pytest.mark.parametrize("size", [1, 7, 1000])
async def test_a_form_must_not_steer(made: Any, disposition: str, param: str, size: int) -> None:
    """However a field's name is written, and wherever the bytes are cut."""
    client, process = made(ok)
    form = f'--b\r\nContent-Disposition: {disposition}\r\n\r\n{{"x": 1}}\r\n--b--\r\n'.encode()

    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(form), size):
            yield form[at : at + size]

    headers = {"content-type": "multipart/form-data; boundary=b"}
    answer = await client.post("/v1/files", content=pieces(), headers=headers)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
    assert process.requests == []


@pytest.mark.parametrize(
    ("field", "value", "status", "param"),
    [
        ("model", "groq/whisper", 404, "model"),
        ("metadata", '{"api_base": "http://x"}', 400, "metadata.api_base"),
        ("metadata", "no JSON", 400, "metadata"),
        ("metadata", "x" * 70_000, 400, "metadata"),
    ],
)
async def test_a_field_that_litellm_reads_is_read(
    made: Any, monkeypatch: pytest.MonkeyPatch, field: str, value: str, status: int, param: str
) -> None:
    """The model of a form is a configured one, and its metadata steer no more than a JSON body's."""
    monkeypatch.setattr(ProxyConfig, "max_body_bytes", 1_000_000)
    client, process = made(ok)
    answer = await client.post("/v1/audio/transcriptions", data={field: value}, files={"file": ("a", b"x")})
    assert (answer.status_code, answer.json()["error"]["param"]) == (status, param)
    assert process.requests == []


async def test_a_url_encoded_form_is_no_json(made: Any) -> None:
    """No route takes that kind of form, and LiteLLM never sees one."""
    client, process = made(ok)
    answer = await client.post("/v1/files", data={"purpose": "x", "api_base": "http"})
    assert (answer.status_code, answer.json()["error"]["message"]) == (
        400,
        "The request body is not valid JSON.",
    )
    assert process.requests == []


async def test_a_form_that_cannot_be_read_is_refused(made: Any) -> None:
    """What nobody can check doesn't go up."""
    client, process = made(ok)
    for content_type in ("multipart/form-data", "multipart/form-data; boundary=b"):
        answer = await client.post("/v1/files", content=b"nonsense", headers={"content-type": content_type})
        assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")
    assert process.requests == []


@pytest.mark.parametrize("content_type", ["application/json", "multipart/form-data; boundary=x"])
@pytest.mark.parametrize("announced", [True, False])
async def test_too_large(made: Any, content_type: str, announced: bool) -> None:
    """The limit for bodies holds here, too, whether or not the length is told before."""
    client, _ = made(ok)

    start = b'--x\r\ncontent-disposition: form-data; name="file"\r\n\r\n'

    async def pieces() -> AsyncIterator[bytes]:
        yield start
        for _ in range(20):
            yield b"x" * 100

    headers = {"content-type": content_type}
    content = start + b"x" * 2000 if announced else pieces()
    answer = await client.post("/v1/files", content=content, headers=headers)
    assert answer.status_code == 413


async def test_only_headers_on_the_lists_pass(made: Any) -> None:
    """Both ways: cookies and LiteLLM's own stay out, what describes the body stays in."""

    def answer(request: httpx.Request) -> httpx.Response:
        headers = {
            "content-type": "audio/mpeg",
            "content-disposition": "attachment; filename=a.mp3",
            "llm_provider-x-request-id": "r",
            "x-litellm-call-id": "c",
            "set-cookie": "a=b",
        }
        return httpx.Response(200, content=b"sound", headers=headers)

    client, process = made(answer)
    got = await client.post(
        "/v1/audio/speech", json={}, headers={"cookie": "c=d", "x-other": "o", "openai-beta": "b"}
    )
    [request] = process.requests
    assert {"cookie", "x-other"}.isdisjoint(request.headers)
    assert request.headers["openai-beta"] == "b"
    assert got.content == b"sound"
    assert dict(got.headers) == {
        "content-type": "audio/mpeg",
        "content-disposition": "attachment; filename=a.mp3",
        "content-length": "5",
        "x-request-id": "r",
    }


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "litellm.NotFoundError: No such file", "code": "404"}},
        {"detail": "No such file"},
    ],
)
async def test_errors_are_in_the_envelope(made: Any, body: dict[str, Any]) -> None:
    """A failure keeps its status and its sentence, and nothing of LiteLLM's around it."""
    client, _ = made(lambda request: httpx.Response(404, json=body))
    answer = await client.get("/v1/files/file-1")
    assert answer.status_code == 404
    assert answer.json() == {
        "error": {"message": "No such file", "type": "not_found_error", "param": None, "code": "not_found"}
    }


async def test_a_missing_field_is_named(made: Any) -> None:
    """What FastAPI in LiteLLM says of a request is a sentence, not a list, and its field is the parameter."""
    found = {"type": "missing", "loc": ["body", "file"], "msg": "Field required", "input": None}
    client, _ = made(lambda request: httpx.Response(422, json={"detail": [found]}))
    answer = await client.post("/v1/audio/transcriptions", json={})
    assert answer.status_code == 422
    error = answer.json()["error"]
    assert (error["message"], error["param"]) == ("file: Field required", "file")


async def test_no_process() -> None:
    """A process that isn't there is a bad gateway."""
    backend = BinaryBackend(make_config(), "http://127.0.0.1:1", "sk-process")
    app = build_app(make_config(), backend)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://proxy") as client:
        answer = await client.get("/v1/files", headers=AUTH)
    await backend.aclose()
    assert answer.status_code == 502


class Slow(httpx.AsyncByteStream):
    """Gives one piece, then nothing until it is closed."""

    def __init__(self) -> None:
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"first"
        await asyncio.Event().wait()

    async def aclose(self) -> None:
        self.closed = True


async def test_pieces_leave_at_once_and_a_hang_up_ends_the_call() -> None:
    """What has come is passed on while the rest is still missing; when the client leaves, the call is closed."""
    slow = Slow()
    app = app_before(Upstream(httpx.Response(200, stream=slow)))
    exchange = Exchange(app, "/v1/audio/speech", b"{}", AUTH)
    assert (await exchange.message())["type"] == "http.response.start"
    assert (await exchange.message())["body"] == b"first"
    exchange.disconnect()
    await exchange.end()
    assert slow.closed


@pytest.mark.parametrize(
    ("content_type", "body"),
    [("application/json", b"{}"), ("multipart/form-data; boundary=x", b"--x--\r\n")],
)
async def test_a_hang_up_before_the_answer_cancels(content_type: str, body: bytes) -> None:
    """Once its body is up, a client that leaves takes the call with it."""
    cancelled = asyncio.Event()
    called = asyncio.Event()

    async def never(request: httpx.Request) -> httpx.Response:
        called.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        raise AssertionError

    app = app_before(Upstream(never))
    exchange = Exchange(app, "/v1/files", body, {**AUTH, "content-type": content_type})
    await asyncio.wait_for(called.wait(), 5)
    exchange.disconnect()
    assert await exchange.end() == []
    assert cancelled.is_set()


async def test_families_hide_no_route_of_ours() -> None:
    """No path of a family is one of the named routes."""
    app = build_app(make_config(), FakeBackend())
    for family in FAMILIES:
        scope = {"type": "http", "method": "POST", "path": f"/v1/{family}", "headers": []}
        assert len([r for r in app.router.routes if r.matches(scope)[0] is Match.FULL]) == 1


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("threads/runs", {"messages": [{"role": "user", "content": "a"}] * 4}, "messages"),
        ("assistants", {"tools": [{"type": "code_interpreter"}] * 4}, "tools"),
        ("responses/compact", {"model": "fast", "input": [{"role": "user", "content": "a"}] * 4}, "input"),
        ("batches", {"metadata": [0] * 1001}, None),
    ],
)
async def test_sizes_are_limited(made: Any, path: str, body: dict[str, Any], param: str | None) -> None:
    """The limits of requests to a model hold on data routes: 400 with the number, and nothing is handed on."""
    client, process = made(
        ok,
        general_settings={"master_key": KEY, "environment_routes": list(ENVIRONMENT_ROUTES)},
        limits={"max_messages": 3, "max_tools": 3, "max_values": 1000},
    )
    answer = await client.post(f"/v1/{path}", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param
    assert "at most" in answer.text or "more than 1000 values" in answer.text
    assert process.requests == []


async def test_the_number_of_a_forms_fields_is_limited(made: Any) -> None:
    """As many as a message may have parts."""
    client, process = made(ok, limits={"max_parts": 3})
    fields = [("include[]", (None, b"a"))] * 3
    answer = await client.post("/v1/audio/transcriptions", files=[("model", (None, b"fast")), *fields])
    assert (answer.status_code, process.requests) == (400, [])
    assert "more than 3 fields" in answer.text


def test_what_goes_by_no_model_can_be_allowed() -> None:
    """The names of the configuration are the families without a model, and no others."""
    needing = {name for name, family in FAMILIES.items() if family.needs_provider("GET", "an-id")}
    assert needing == set(ENVIRONMENT_ROUTES)


NOT_FILES = sorted({*ENVIRONMENT_ROUTES} - {"batches", "files"})


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("family", NOT_FILES)
async def test_a_route_with_the_environments_key_is_refused(made: Any, family: str, method: str) -> None:
    """Unless the configuration says where its requests go, or allows that key: 404, and nothing is handed on."""
    client, process = made(ok, general_settings={"master_key": KEY})
    answer = await client.request(method, f"/v1/{family}/an-id")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "unsupported_route")
    assert f"environment_routes: [{family}]" in answer.text
    assert process.requests == []
    client, process = made(ok, general_settings={"master_key": KEY, "environment_routes": [family]})
    assert (await client.request(method, f"/v1/{family}/an-id")).status_code == 200


async def test_a_video_is_made_by_its_model(made: Any) -> None:
    """Only what is done with it afterwards goes by an id."""
    client, _ = made(ok, general_settings={"master_key": KEY})
    assert (await client.post("/v1/videos", json={"model": "fast", "prompt": "a"})).status_code == 200
    assert (await client.get("/v1/videos")).status_code == 404
