"""Retries, fallbacks and timeouts as LiteLLM's Router has them, around calls that are made up."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from proxies.config.models import Deployment, ProxyConfig
from proxies.sdk.router import Router, fallback_names

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
litellm = pytest.importorskip("litellm")


def failure(status: int, **headers: str) -> Exception:
    """What LiteLLM raises for a provider's status."""
    kinds = {
        400: "BadRequestError",
        401: "AuthenticationError",
        403: "PermissionDeniedError",
        404: "NotFoundError",
        408: "Timeout",
        429: "RateLimitError",
        503: "ServiceUnavailableError",
    }
    response = httpx.Response(status, headers=headers, request=httpx.Request("POST", "http://provider.test"))
    kind = getattr(litellm, kinds.get(status, "InternalServerError"))
    needs_response = status == 403
    error = kind(
        message=f"failed with {status}",
        model="m",
        llm_provider="openai",
        **({"response": response} if needs_response else {}),
    )
    error.status_code = status
    error.litellm_response_headers = dict(headers)
    return error


def config(groups: dict[str, Any], **sections: Any) -> ProxyConfig:
    """`groups`: parameters by model name, a list of them for several deployments."""
    deployments = [
        Deployment(model_name=name, litellm_params={"model": f"openai/{name}-{index}", **params})
        for name, group in groups.items()
        for index, params in enumerate(group if isinstance(group, list) else [group])
    ]
    return ProxyConfig(
        model_list=tuple(deployments), general_settings={"master_key": "sk-of-the-tests"}, **sections
    )


class Provider:
    """Answers by script, the last entry repeating; remembers whom it was asked for."""

    def __init__(self, *script: Any) -> None:
        self.script = script
        self.asked: list[str] = []

    async def __call__(self, deployment: Deployment) -> Any:
        self.asked.append(deployment.litellm_params["model"].removeprefix("openai/"))
        given = self.script[min(len(self.asked), len(self.script)) - 1]
        if isinstance(given, Exception):
            raise given
        return given


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that were waited for; nobody waits for them here."""
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr("proxies.sdk.router.asyncio.sleep", sleep)
    return waited


@pytest.mark.parametrize("retries", [0, 1, 2, 3])
@pytest.mark.parametrize("where", ["deployment", "router", "litellm"])
async def test_as_many_retries_as_configured(retries: int, where: str) -> None:
    """`num_retries` counts the further calls, in whichever place it stands."""
    sections: dict[str, Any] = {
        "deployment": {},
        "router": {"router_settings": {"num_retries": retries}, "litellm_settings": {"num_retries": 9}},
        "litellm": {"litellm_settings": {"num_retries": retries}},
    }[where]
    own = {"num_retries": retries} if where == "deployment" else {}
    provider = Provider(failure(503))
    with pytest.raises(litellm.ServiceUnavailableError):
        await Router(config({"a": own}, **sections)).run("a", provider)
    assert len(provider.asked) == retries + 1


async def test_without_a_setting_there_is_no_retry() -> None:
    """The default is 0, as in the configuration that the LiteLLM process is given."""
    provider = Provider(failure(503))
    with pytest.raises(litellm.ServiceUnavailableError):
        await Router(config({"a": {}})).run("a", provider)
    assert len(provider.asked) == 1


async def test_the_deployment_decides_before_the_router() -> None:
    """A deployment's own number beats the one for all, also when it is 0."""
    provider = Provider(failure(503))
    with pytest.raises(litellm.ServiceUnavailableError):
        await Router(config({"a": {"num_retries": 0}}, router_settings={"num_retries": 2})).run("a", provider)
    assert len(provider.asked) == 1


@pytest.mark.parametrize(
    ("status", "calls"),
    [
        (400, 1),
        (401, 1),
        (403, 1),
        (404, 1),
        (422, 1),
        (408, 2),
        (409, 2),
        (429, 2),
        (500, 2),
        (503, 2),
        (529, 2),
    ],
)
async def test_what_is_worth_a_retry(status: int, calls: int) -> None:
    """Statuses that may pass are tried again, those that won't are not."""
    provider = Provider(failure(status), "late")
    router = Router(config({"a": {"num_retries": 1}}))
    if calls == 1:
        with pytest.raises(type(failure(status))):
            await router.run("a", provider)
    else:
        assert await router.run("a", provider) == "late"
    assert len(provider.asked) == calls


async def test_a_broken_connection_is_worth_a_retry() -> None:
    """An error of the wire itself counts as the provider's failure."""
    provider = Provider(httpx.ReadError("reset"), "late")
    assert await Router(config({"a": {"num_retries": 1}})).run("a", provider) == "late"


async def test_a_bug_is_not_repeated() -> None:
    """What has no status is ours: one call, no fallback."""
    provider = Provider(TypeError("a bug"))
    router = Router(config({"a": {"num_retries": 3}, "b": {}}, router_settings={"fallbacks": [{"a": ["b"]}]}))
    with pytest.raises(TypeError):
        await router.run("a", provider)
    assert provider.asked == ["a-0"]


async def test_a_hopeless_failure_ends_the_retries() -> None:
    """The last failure is raised, and a 400 is the last."""
    provider = Provider(failure(503), failure(400))
    with pytest.raises(litellm.BadRequestError):
        await Router(config({"a": {"num_retries": 3}})).run("a", provider)
    assert len(provider.asked) == 2


@pytest.mark.parametrize(
    ("headers", "settings", "least", "most"),
    [
        ({"retry-after": "7"}, {}, 7, 7.75),
        ({"retry-after": "0"}, {}, 0.5, 1.25),
        ({"retry-after": "90"}, {}, 0.5, 1.25),
        ({}, {"retry_after": 3}, 3, 3.75),
    ],
)
async def test_first_wait(
    waits: list[float], headers: dict[str, str], settings: dict[str, Any], least: float, most: float
) -> None:
    """`retry-after` up to a minute is honoured, `router_settings.retry_after` is the least; a little is added."""
    provider = Provider(failure(429, **headers), "late")
    await Router(config({"a": {"num_retries": 1}}, router_settings=settings)).run("a", provider)
    [waited] = waits
    assert least <= waited <= most


async def test_waits_grow(waits: list[float]) -> None:
    """Each wait is twice the one before, and after the last call nobody waits."""
    with pytest.raises(litellm.ServiceUnavailableError):
        await Router(config({"a": {"num_retries": 3}})).run("a", Provider(failure(503)))
    assert len(waits) == 3
    for waited, least in zip(waits, (0.5, 1, 2), strict=True):
        assert least <= waited <= least + 0.75


async def test_a_group_does_not_wait(waits: list[float]) -> None:
    """With a second deployment the retry is made at once."""
    provider = Provider(failure(503), "late")
    await Router(config({"a": [{"num_retries": 1}, {"num_retries": 1}]})).run("a", provider)
    assert waits == []


@pytest.mark.parametrize("status", [401, 403])
async def test_who_refused_is_not_asked_again(status: int) -> None:
    """A group's retry goes to a deployment that has not refused; when all have, to any."""
    for _ in range(20):
        provider = Provider(failure(status))
        with pytest.raises(type(failure(status))):
            await Router(config({"a": [{"num_retries": 2}, {"num_retries": 2}]})).run("a", provider)
        assert len(provider.asked) == 3
        assert set(provider.asked[:2]) == {"a-0", "a-1"}


async def test_weights() -> None:
    """A deployment without weight is not chosen beside one that has some."""
    provider = Provider("yes")
    for _ in range(20):
        await Router(config({"a": [{"weight": 1}, {"weight": 0}]})).run("a", provider)
    assert set(provider.asked) == {"a-0"}


@pytest.mark.parametrize("section", ["router_settings", "litellm_settings"])
@pytest.mark.parametrize("status", [400, 401, 503])
async def test_a_fallback_answers(section: str, status: int) -> None:
    """Whatever the failure, the fallback is asked, after the retries."""
    retries = 1 if status == 503 else 0
    provider = Provider(*[failure(status)] * (retries + 1), "instead")
    router = Router(
        config({"a": {"num_retries": retries}, "b": {}}, **{section: {"fallbacks": [{"a": ["b"]}]}})
    )
    assert await router.run("a", provider) == "instead"
    assert provider.asked == ["a-0"] * (retries + 1) + ["b-0"]


async def test_fallbacks_in_their_order() -> None:
    """One after the other, also a fallback's own, but none twice; the first failure is raised."""
    fallbacks = [{"a": ["b", "c"]}, {"b": ["a", "c", "d"]}]
    provider = Provider(failure(429), failure(503))
    router = Router(config({name: {} for name in "abcd"}, router_settings={"fallbacks": fallbacks}))
    with pytest.raises(litellm.RateLimitError):
        await router.run("a", provider)
    assert provider.asked == ["a-0", "b-0", "c-0", "d-0"]


async def test_no_more_fallbacks_in_a_row_than_allowed() -> None:
    """`max_fallbacks` ends a chain."""
    names = "abcd"
    chain = [{one: [other]} for one, other in itertools.pairwise(names)]
    provider = Provider(failure(503))
    settings = {"fallbacks": chain, "max_fallbacks": 2}
    router = Router(config({name: {} for name in names}, router_settings=settings))
    with pytest.raises(litellm.ServiceUnavailableError):
        await router.run("a", provider)
    assert provider.asked == ["a-0", "b-0", "c-0"]


async def test_default_fallbacks() -> None:
    """They serve every model that has none of its own."""
    settings = {"fallbacks": [{"a": ["b"]}], "default_fallbacks": ["c"]}
    router = Router(config({name: {} for name in "abcx"}, router_settings=settings))
    for asked, expected in (("a", ["a-0", "b-0"]), ("x", ["x-0", "c-0"])):
        provider = Provider(failure(503), "instead")
        await router.run(asked, provider)
        assert provider.asked == expected


def too_long() -> Exception:
    error: Exception = litellm.ContextWindowExceededError(
        message="too long", model="m", llm_provider="openai"
    )
    return error


async def test_fallbacks_for_long_contexts() -> None:
    """Where they are configured, a context that is too long looks for its fallback there and nowhere else."""
    settings = {"fallbacks": [{"a": ["b"]}, {"x": ["b"]}], "context_window_fallbacks": [{"a": ["c"]}]}
    router = Router(config({name: {"num_retries": 2} for name in "abcx"}, router_settings=settings))
    provider = Provider(too_long(), "instead")
    await router.run("a", provider)
    assert provider.asked == ["a-0", "c-0"]
    provider = Provider(too_long(), "instead")
    with pytest.raises(litellm.ContextWindowExceededError):
        await router.run("x", provider)
    assert provider.asked == ["x-0"]


async def test_long_contexts_use_any_fallback_where_they_have_none() -> None:
    """Without a list of their own they are failures like others."""
    provider = Provider(too_long(), "instead")
    await Router(config({"a": {}, "b": {}}, router_settings={"fallbacks": [{"a": ["b"]}]})).run("a", provider)
    assert provider.asked == ["a-0", "b-0"]


def chunk(content: str | None) -> Any:
    return SimpleNamespace(choices=[SimpleNamespace(delta=SimpleNamespace(content=content))])


def broken(*contents: str | None) -> AsyncIterator[Any]:
    async def chunks() -> AsyncIterator[Any]:
        for content in contents:
            yield chunk(content)
        raise failure(500)

    return chunks()


async def whole(text: str) -> AsyncIterator[Any]:
    yield chunk(text)


async def read(stream: Any, into: list[str | None]) -> None:
    async for one in stream:
        into.append(one.choices[0].delta.content)


@pytest.mark.parametrize("before", [(), (None,), ("",)])
async def test_a_silent_stream_is_stood_in_for(before: tuple[str | None, ...]) -> None:
    """A stream that breaks before any content goes on with its fallback's."""
    router = Router(config({"a": {}, "b": {}}, router_settings={"fallbacks": [{"a": ["b"]}]}))
    provider = Provider(broken(*before), whole("instead"))
    seen: list[str | None] = []
    await read(await router.stream("a", provider), seen)
    assert seen == [*before, "instead"]
    assert provider.asked == ["a-0", "b-0"]


async def test_a_stream_that_spoke_is_not_stood_in_for() -> None:
    """After content the failure is raised: two answers are no answer."""
    router = Router(config({"a": {}, "b": {}}, router_settings={"fallbacks": [{"a": ["b"]}]}))
    provider = Provider(broken("So"), whole("instead"))
    seen: list[str | None] = []
    with pytest.raises(litellm.InternalServerError):
        await read(await router.stream("a", provider), seen)
    assert (seen, provider.asked) == (["So"], ["a-0"])


async def test_a_stream_of_bytes_is_never_stood_in_for() -> None:
    """Of what is no chunk nobody knows whether it said something."""

    async def pieces() -> AsyncIterator[bytes]:
        yield b"event: message_start\n\n"
        raise failure(500)

    router = Router(config({"a": {}, "b": {}}, router_settings={"fallbacks": [{"a": ["b"]}]}))
    provider = Provider(pieces(), pieces())
    stream = await router.stream("a", provider)
    with pytest.raises(litellm.InternalServerError):
        [piece async for piece in stream]
    assert provider.asked == ["a-0"]


def event(name: str) -> Any:
    return SimpleNamespace(type=f"response.{name}")


@pytest.mark.parametrize(
    ("first", "stands_in", "seen"),
    [
        (("created", "in_progress"), True, ["created 2", "output_text.delta"]),
        (("created", "output_item.added"), True, ["created", "output_item.added", "InternalServerError"]),
        (("created", "in_progress"), False, ["created", "in_progress", "InternalServerError"]),
    ],
)
async def test_a_response_is_announced_once(first: tuple[str, ...], stands_in: bool, seen: list[str]) -> None:
    """What only announces a response is kept until it says something: a fallback's takes its place, else it is told."""

    async def response(*names: str, breaks: bool = False) -> AsyncIterator[Any]:
        for name in names:
            yield event(name)
        if breaks:
            raise failure(500)

    router = Router(config({"a": {}, "b": {}}, router_settings={"fallbacks": [{"a": ["b"]}]}))
    second = response("created 2", "output_text.delta") if stands_in else failure(500)
    provider = Provider(response(*first, breaks=True), second)
    heard: list[str] = []
    try:
        async for one in await router.stream("a", provider):
            heard.append(one.type.removeprefix("response."))
    except litellm.InternalServerError as error:
        heard.append(type(error).__name__)
    assert heard == seen


async def test_without_fallbacks_nothing_is_kept_back() -> None:
    """The first event is there before the second is."""
    gate = asyncio.Event()

    async def response() -> AsyncIterator[Any]:
        yield event("created")
        await gate.wait()

    stream = aiter(await Router(config({"a": {}})).stream("a", Provider(response())))
    assert (await asyncio.wait_for(anext(stream), 5)).type == "response.created"
    gate.set()
    assert await anext(stream, None) is None


async def test_a_bare_iterator_is_a_stream() -> None:
    """What can only be iterated, such as a test's own class, is closed without a fuss."""

    class Bare:
        def __aiter__(self) -> AsyncIterator[Any]:
            return whole("here")

    stream = await Router(config({"a": {}})).stream("a", Provider(Bare()))
    assert len([chunk async for chunk in stream]) > 0
    await stream.aclose()


async def test_a_silent_stream_is_not_retried() -> None:
    """Retries end when a stream has been opened, as in LiteLLM."""
    provider = Provider(broken(), whole("late"))
    with pytest.raises(litellm.InternalServerError):
        await read(await Router(config({"a": {"num_retries": 2}})).stream("a", provider), [])
    assert provider.asked == ["a-0"]


@pytest.mark.parametrize(
    ("own", "router", "request_timeout", "plain", "stream"),
    [
        ({}, {}, None, 6000, 6000),
        ({"timeout": 1, "request_timeout": 2}, {"timeout": 3}, 4, 1, 4),
        ({"request_timeout": 2}, {"timeout": 3}, None, 2, 2),
        ({}, {"timeout": 3}, 4, 4, 4),
        ({"timeout": 1}, {}, 4, 1, 1),
        ({"timeout": 1, "stream_timeout": 5}, {"stream_timeout": 6}, None, 1, 5),
        ({"timeout": 1}, {"stream_timeout": 6}, None, 1, 6),
    ],
)
def test_timeouts(
    own: dict[str, Any], router: dict[str, Any], request_timeout: float | None, plain: float, stream: float
) -> None:
    """The order in which LiteLLM's Router looks for one, which is another for streams."""
    made = config({"a": own}, router_settings=router, litellm_settings={"request_timeout": request_timeout})
    [deployment] = made.group("a")
    router = Router(made)
    assert (router.timeout(deployment, stream=False), router.timeout(deployment, stream=True)) == (
        plain,
        stream,
    )


@pytest.mark.parametrize("streams", [False, True])
async def test_timeouts_are_those_of_the_router(streams: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """LiteLLM's own Router, given the same settings, asks with the same timeout."""
    asked: list[float] = []

    async def acompletion(**arguments: Any) -> Any:
        asked.append(arguments["timeout"])
        raise failure(400)

    monkeypatch.setattr(litellm, "acompletion", acompletion)
    for own in ({}, {"timeout": 1}, {"request_timeout": 2}, {"timeout": 1, "stream_timeout": 5}):
        for settings in ({}, {"timeout": 3}, {"stream_timeout": 6}, {"timeout": 3, "stream_timeout": 6}):
            params = {"model": "openai/m", "api_key": "k", **own}
            router = litellm.Router(
                [{"model_name": "a", "litellm_params": params}], num_retries=0, **settings
            )
            with pytest.raises(litellm.BadRequestError):
                await router.acompletion("a", [{"role": "user", "content": "?"}], stream=streams)
            made = config({"a": own}, router_settings=settings)
            assert asked[-1] == Router(made).timeout(made.group("a")[0], stream=streams)


def test_names_of_fallbacks() -> None:
    """Every model that is mentioned, on either side."""
    assert fallback_names([{"a": ["b"]}, {"*": ["c", "d"]}]) == ["a", "b", "c", "d"]


async def test_cancelling_ends_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that leaves during the wait before a retry causes no further call."""
    waiting = asyncio.Event()

    async def sleep(_: float) -> None:
        waiting.set()
        await asyncio.Future()

    monkeypatch.setattr("proxies.sdk.router.asyncio.sleep", sleep)
    provider = Provider(failure(503))
    router = Router(config({"a": {"num_retries": 1}}))
    task = asyncio.ensure_future(router.run("a", provider))
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(provider.asked) == 1
