"""The table, the handlers, and that both of LiteLLM's dialects lead to the same failure."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from pydantic import BaseModel

from proxies.errors import (
    TIMED_OUT,
    UNREACHABLE,
    UNREADABLE,
    ProxyError,
    dialect_of,
    envelope,
    internal_error,
)
from proxies.front.failures import register_exception_handlers
from proxies.upstream_errors import upstream_error

RECORDED = json.loads((Path(__file__).parent / "data" / "litellm_errors.json").read_text(encoding="utf-8"))
CASES: list[dict[str, Any]] = RECORDED["cases"]

TABLE = [
    (400, "invalid_request_error", None),
    (401, "authentication_error", "invalid_api_key"),
    (403, "permission_error", "permission_denied"),
    (404, "not_found_error", "not_found"),
    (405, "invalid_request_error", "method_not_allowed"),
    (408, "timeout_error", "request_timeout"),
    (409, "invalid_request_error", "conflict"),
    (413, "invalid_request_error", "request_too_large"),
    (418, "invalid_request_error", None),
    (422, "invalid_request_error", "unprocessable_entity"),
    (429, "rate_limit_error", "rate_limit_exceeded"),
    (500, "api_error", "internal_error"),
    (502, "api_error", "bad_gateway"),
    (503, "overloaded_error", "service_unavailable"),
    (504, "timeout_error", "request_timeout"),
    (507, "api_error", "internal_error"),
    (529, "overloaded_error", "overloaded"),
]
# What a case without a status line of the provider's comes to, by its name.
FAULTS = {
    "badjson": (502, UNREADABLE),
    "empty200": (502, UNREADABLE),
    "hang": (504, TIMED_OUT),
    "html200": (502, UNREADABLE),
    "refused": (502, UNREACHABLE),
    "reset": (502, UNREACHABLE),
    "s_badframe": (502, UNREADABLE),
    "s_cut": (502, UNREACHABLE),
    "s_cutfirst": (502, UNREACHABLE),
    "s_reset": (502, UNREACHABLE),
    "s_stall": (504, TIMED_OUT),
}


def name_of(case: dict[str, Any]) -> str:
    return f"{case['provider']}-{case['case']}{'-streamed' if case['streamed'] else ''}"


def as_process(case: dict[str, Any]) -> ProxyError:
    said = case["process"]
    return upstream_error(said["status"], said["message"], answered=said["answered"], param=said["param"])


def as_sdk(case: dict[str, Any]) -> ProxyError:
    said = case["sdk"]
    return upstream_error(
        said["status"],
        said["message"].replace("127.0.0.1", "REDACTED"),
        answered=said["answered"],
        code=said["code"],
        param=said["param"],
    )


@pytest.mark.parametrize(("status", "kind", "code"), TABLE)
def test_status_decides_type_and_code(status: int, kind: str, code: str | None) -> None:
    """A status alone has its row of the table, in both envelopes."""
    error = ProxyError(status, "No.")
    assert envelope(error) == {"error": {"message": "No.", "type": kind, "param": None, "code": code}}
    assert envelope(error, "anthropic") == {"type": "error", "error": {"type": kind, "message": "No."}}


def test_given_type_code_and_param_win() -> None:
    """What the caller knows better than the table is kept."""
    error = ProxyError(
        429, "No.", type="t", code="insufficient_quota", param="p", headers={"retry-after": "1"}
    )
    assert envelope(error)["error"] == {
        "message": "No.",
        "type": "t",
        "param": "p",
        "code": "insufficient_quota",
    }
    assert error.headers == {"retry-after": "1"}


def test_recording_is_not_empty() -> None:
    """The recorded errors cover both providers, plain and streamed."""
    assert {(c["provider"], c["streamed"]) for c in CASES} == {
        (provider, streamed) for provider in ("openai", "anthropic") for streamed in (False, True)
    }


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_process_and_sdk_lead_to_the_same_failure(case: dict[str, Any]) -> None:
    """The same provider bytes give the same failure through either dialect; only a 400's code may be lost."""
    process, sdk = as_process(case), as_sdk(case)
    assert (process.status, process.type, process.message, process.param) == (
        sdk.status,
        sdk.type,
        sdk.message,
        sdk.param,
    )
    if process.status != 400 or process.code is not None:
        assert process.code == sdk.code


@pytest.mark.parametrize("case", [c for c in CASES if c["said"]], ids=name_of)
def test_provider_status_and_sentence_survive(case: dict[str, Any]) -> None:
    """The provider's own status and sentence come out, without wrappers; HTML and silence become a sentence."""
    error, said = as_process(case), case["said"]
    assert error.status == said["status"]
    if isinstance(said["body"], dict):
        assert error.message == said["body"]["error"]["message"].replace("sk-abcdefghijklmnop1234.", "***")
    elif said["body"].startswith("<") or not said["body"]:
        assert error.message.startswith(f"The provider answered {said['status']} ")
    else:
        assert error.message == said["body"]


@pytest.mark.parametrize("case", [c for c in CASES if c["case"] in FAULTS], ids=name_of)
def test_faults_are_told_apart(case: dict[str, Any]) -> None:
    """Unreachable, unreadable and late providers are 502 and 504, though LiteLLM says 500 or 408."""
    error = as_process(case)
    assert (error.status, error.message) == FAULTS[case["case"]]


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
@pytest.mark.parametrize(
    ("case", "code"),
    [
        ("400ctx", "context_length_exceeded"),
        ("400policy", "content_policy_violation"),
        ("429quota", "insufficient_quota"),
        ("429", "rate_limit_exceeded"),
        ("404", "model_not_found"),
    ],
)
def test_causes_within_a_status(provider: str, case: str, code: str) -> None:
    """Codes that one status keeps apart are recognised in both dialects."""
    recorded = [c for c in CASES if c["provider"] == provider and c["case"] == case]
    assert recorded
    assert {f(c).code for c in recorded for f in (as_process, as_sdk)} == {code}


def test_sdk_keeps_the_code_of_a_400() -> None:
    """Where LiteLLM still has the provider's code for a bad request, it reaches the client."""
    error = upstream_error(
        400, "litellm.BadRequestError: OpenAIException - No.", answered=True, code="bad_thing"
    )
    assert (error.message, error.code) == ("No.", "bad_thing")


def test_litellms_status_is_no_code() -> None:
    """LiteLLM's `code`, the status as text, is not taken for the provider's."""
    assert upstream_error(400, "No.", answered=True, code="400").code is None


def test_404_that_names_no_model() -> None:
    """A missing thing that is no model is `not_found`."""
    assert upstream_error(404, "No such file.", answered=True).code == "not_found"


def test_dialects() -> None:
    """Only the messages route answers in Anthropic's envelope."""
    assert dialect_of("/v1/messages") == dialect_of("/messages") == "anthropic"
    assert dialect_of("/v1/messages/count_tokens") == "anthropic"
    assert dialect_of("/v1/chat/completions") == dialect_of("/v1/messagesx") == "openai"


class Wanted(BaseModel):
    n: int


def failing_app(error: Exception) -> FastAPI:
    app = FastAPI()
    register_exception_handlers(app)

    @app.get("/fail")
    async def fail() -> None:
        raise error

    @app.post("/v1/messages")
    async def messages() -> None:
        raise error

    @app.post("/typed")
    async def typed(wanted: Wanted) -> None: ...

    return app


async def ask(app: Any, method: str, path: str, **options: Any) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://proxy") as client:
        return await client.request(method, path, **options)


async def test_proxy_error_is_answered_with_its_headers() -> None:
    """A `ProxyError` leaves with its status, envelope and headers."""
    response = await ask(failing_app(ProxyError(429, "Slow.", headers={"retry-after": "7"})), "GET", "/fail")
    assert (response.status_code, response.headers["retry-after"]) == (429, "7")
    assert response.json()["error"]["message"] == "Slow."


async def test_messages_route_answers_in_its_own_envelope() -> None:
    """An error at `/v1/messages` has Anthropic's form."""
    response = await ask(failing_app(ProxyError(429, "Slow.")), "POST", "/v1/messages")
    assert response.json() == {"type": "error", "error": {"type": "rate_limit_error", "message": "Slow."}}


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [("GET", "/nowhere", 404, "not_found"), ("POST", "/fail", 405, "method_not_allowed")],
)
async def test_unknown_routes(method: str, path: str, status: int, code: str) -> None:
    """An unknown path and a wrong method are answered in the envelope, never with `detail`."""
    response = await ask(failing_app(ProxyError(400, "")), method, path)
    assert response.status_code == status
    assert list(response.json()) == ["error"]
    assert response.json()["error"]["code"] == code


async def test_validation_error_names_the_place() -> None:
    """FastAPI's own 422 becomes a 400 with `param`."""
    response = await ask(failing_app(ProxyError(400, "")), "POST", "/typed", json={"n": "x"})
    assert response.status_code == 400
    assert response.json()["error"]["param"] == "n"


async def test_value_error_while_reading() -> None:
    """A `ValueError` is the request's fault, and its text carries no credential."""
    response = await ask(failing_app(ValueError("bad sk-secretsecret123")), "GET", "/fail")
    assert response.status_code == 400
    assert response.json()["error"]["code"] == "invalid_value"
    assert "secretsecret" not in response.text


@pytest.mark.parametrize("error", [KeyError("k"), TypeError("t"), RuntimeError("api_key=sk-secretsecret123")])
async def test_bug_is_answered_generically(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    """Anything unexpected is a generic 500; the traceback is in the log alone, redacted."""
    with caplog.at_level(logging.ERROR, "proxies"):
        response = await ask(failing_app(error), "GET", "/fail")
    assert response.status_code == 500
    assert response.json() == envelope(internal_error())
    assert "Traceback" in caplog.text
    assert type(error).__name__ in caplog.text
    assert "secretsecret" not in caplog.text


async def test_bug_after_the_start_closes_the_connection() -> None:
    """Half an answer is never completed by an envelope."""
    app = FastAPI()
    register_exception_handlers(app)

    async def half(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise KeyError("late")

    app.mount("/half", half)
    with pytest.raises(KeyError):
        await ask(app, "GET", "/half/")
