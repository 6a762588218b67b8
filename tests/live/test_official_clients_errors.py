"""Every 4xx and 5xx of three providers, in front of either proxy, as the three official clients understand it.

    openai, anthropic, groq client ── /v1/chat/completions, /v1/messages ── proxy ── openai, anthropic, groq deployment

The usual statuses come with the sentences that the providers use, from the scenarios; all others with a made-up one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import anthropic
import groq
import httpx
import openai
import pytest

from parity.catalogue import loading
from parity.catalogue.loading import Catalogue
from parity.catalogue.scenario import Scenario
from parity.targets import stack
from parity.targets.arms import ARMS, Arm
from parity.targets.deployments import PROVIDER_KEY
from parity.targets.stack import Stack

Vendor = Literal["openai", "anthropic", "groq"]
VENDORS: tuple[Vendor, ...] = ("openai", "anthropic", "groq")
PACKAGES: dict[Vendor, Any] = {"openai": openai, "anthropic": anthropic, "groq": groq}
MODELS = {
    "openai": "gpt-4o-mini",
    "anthropic": "claude-3-5-haiku-20241022",
    "groq": "llama-3.3-70b-versatile",
}

USUAL = (400, 401, 403, 404, 408, 409, 413, 422, 429, 500, 502, 503, 504, 529)
UNUSUAL = tuple(status for status in range(400, 600) if status not in USUAL)
CLASSES = {
    400: "BadRequestError",
    401: "AuthenticationError",
    403: "PermissionDeniedError",
    404: "NotFoundError",
    409: "ConflictError",
    422: "UnprocessableEntityError",
    429: "RateLimitError",
}
"""The same names in all three packages; another 4xx is their `APIStatusError`, a 5xx their `InternalServerError`."""
ANTHROPICS = {
    402: "PaymentRequiredError",
    408: "RequestTimeoutError",
    412: "PreconditionFailedError",
    413: "RequestTooLargeError",
    431: "RequestHeaderFieldsTooLargeError",
    499: "ClientClosedRequestError",
    501: "HTTPNotImplementedError",
    503: "ServiceUnavailableError",
    504: "DeadlineExceededError",
    529: "OverloadedError",
}
"""What Anthropic's package has besides; its older versions lack some."""

QUESTION: Any = [{"role": "user", "content": "Hello?"}]
SECRETS = (PROVIDER_KEY, "sk-proj-Zx9Kq2Vt7Lm4Wb8R", "gsk_Qw3rTy7uIoP9aSdFgHjK")


def made_up(provider: Vendor, status: int) -> Scenario:
    """A provider that answers `status`, and repeats three keys in its sentence."""
    sentence = f"Status {status} it is, for the keys {', '.join(SECRETS)}."
    error = {"message": sentence, "type": "some_error"}
    body = {"type": "error", "error": error} if provider == "anthropic" else {"error": error}
    return Scenario.model_validate(
        {
            "id": f"made_up.{provider}[{status}]",
            "title": "A status that no scenario of the catalogue has.",
            "deployment": {"provider": provider, "model": MODELS[provider]},
            "provider": [{"status": status, "json": body}],
            "client": [{"json": {}}],
            "expect": {"responses": [{}]},
        }
    )


@pytest.fixture(scope="module")
def usual() -> Catalogue:
    return Catalogue.load(loading.BUILT_IN / "errors" / f"{vendor}_status.yaml" for vendor in VENDORS)


@pytest.fixture(scope="module")
def statuses(usual: Catalogue) -> Iterator[Stack]:
    """Both proxies, with a model for each provider and status."""
    others = [made_up(vendor, status) for vendor in VENDORS for status in UNUSUAL]
    with stack.serve([*usual, *others], ARMS) as running:
        yield running


@dataclass(frozen=True)
class Client:
    """An official client of one proxy; `fails` asks, and gives back what it raises."""

    vendor: Vendor
    official: Any

    async def fails(self, model: str) -> Any:
        if self.vendor == "anthropic":
            asking = self.official.messages.create(model=model, messages=QUESTION, max_tokens=64)
        else:
            asking = self.official.chat.completions.create(model=model, messages=QUESTION)
        with pytest.raises(PACKAGES[self.vendor].APIStatusError) as caught:
            await asking
        return caught.value

    def class_for(self, status: int) -> type[Exception]:
        name = CLASSES.get(status, "InternalServerError" if status >= 500 else "APIStatusError")
        if self.vendor == "anthropic" and hasattr(anthropic, ANTHROPICS.get(status, "-")):
            name = ANTHROPICS[status]
        found: type[Exception] = getattr(PACKAGES[self.vendor], name)
        return found


@pytest.fixture(params=VENDORS)
async def client(request: pytest.FixtureRequest, statuses: Stack, arm: Arm) -> AsyncIterator[Client]:
    """One vendor's client after the other, of one proxy after the other."""
    vendor: Vendor = request.param
    url = statuses.urls[arm]
    options = {"api_key": statuses.key, "max_retries": 0, "timeout": 30}
    if vendor == "openai":
        made = openai.AsyncOpenAI(base_url=f"{url}/v1", **options)
    elif vendor == "anthropic":
        made = anthropic.AsyncAnthropic(base_url=url, **options)
    else:
        made = groq.AsyncGroq(base_url=url, http_client=httpx.AsyncClient(event_hooks=AT_OUR_PATH), **options)
    async with made:
        yield Client(vendor, made)


async def _at_our_path(request: httpx.Request) -> None:
    """Groq's client asks below `/openai`, as Groq's host has it."""
    request.url = request.url.copy_with(path=request.url.path.removeprefix("/openai"))


AT_OUR_PATH: Any = {"request": [_at_our_path]}


@pytest.mark.parametrize("provider", VENDORS)
@pytest.mark.parametrize("status", USUAL)
async def test_raises_the_right_class(
    client: Client, usual: Catalogue, arm: Arm, provider: Vendor, status: int
) -> None:
    """The exception is the one of that status, with the provider's sentence and retry-after, and the table's type.

    Three exceptions are LiteLLM's, and stand in the ledger: it takes Anthropic's 408 for a 504, and its process
    sends no retry-after on /v1/messages, and its own code instead of the provider's in a 400.
    """
    model = f"errors.{provider}_status[{status}]"
    expected = usual[model].expect.responses[0].json_["error"]
    retry_after = usual[model].provider[0].headers.get("retry-after")
    mistaken = (provider, status) == ("anthropic", 408)
    raised = await client.fails(model)
    assert raised.status_code == (504 if mistaken else status)
    assert type(raised) is client.class_for(raised.status_code)
    error = raised.body["error"] if client.vendor != "openai" else raised.body
    assert error["type"] == expected["type"]
    assert error["message"] == expected["message"] or mistaken
    if client.vendor != "anthropic" and status != 400:
        assert error["code"] == expected["code"]
    if (client.vendor, arm) != ("anthropic", "binary"):
        assert raised.response.headers.get("retry-after") == retry_after


async def test_every_other_status_too(client: Client) -> None:
    """Whatever a client's own provider answers from 400 to 599 is raised with that status, its sentence, and no key."""
    wrong = {}
    for status in UNUSUAL:
        raised = await client.fails(f"made_up.{client.vendor}[{status}]")
        error = raised.body["error"] if client.vendor != "openai" else raised.body
        kind = "api_error" if status >= 500 else "invalid_request_error"
        seen = (type(raised), raised.status_code, error["type"], error["message"])
        sentence = f"Status {status} it is, for the keys ***, ***, ***."
        if seen != (client.class_for(status), status, kind, sentence):
            wrong[status] = seen
        told = f"{raised} {raised.response.text} {raised.response.headers}"
        if any(secret in told for secret in SECRETS):
            wrong[status] = (*seen, told)
    assert wrong == {}
