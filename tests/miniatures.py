"""Deliberately wrong proxies: each stands in front of a right one and makes one mistake.

They prove that the matrix can fail, and where. `parity.targets.target.MockedTarget(arm, wrap=…)` takes a
class as it is.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable

from starlette.datastructures import MutableHeaders
from starlette.types import Message, Receive, Scope, Send

from parity.targets.deployments import MOCKED_KEY
from tests.miniature import SWALLOWED, Json, Miniature, dumped, replayed, whole


def _mapped(value: Json, change: Callable[[str, Json], Json], key: str = "") -> Json:
    """`value` with every leaf replaced by `change(key, leaf)`."""
    if isinstance(value, dict):
        return {name: _mapped(item, change, name) for name, item in value.items()}
    if isinstance(value, list):
        return [_mapped(item, change, key) for item in value]
    return change(key, value)


# --- errors


class WrapsErrorsInDetail(Miniature):
    """Answers errors as FastAPI does by itself, under `detail`."""

    def answer(self, path: str, status: int, document: Json) -> Json:
        return {"detail": document["error"]} if status >= 400 else document


class DropsRetryAfter(Miniature):
    """Keeps for itself how long the provider asked to wait."""

    def start(self, path: str, status: int, headers: MutableHeaders) -> int:
        del headers["retry-after"]
        return status


class AnswersErrorsWith200(Miniature):
    """Says 200 whatever the body says."""

    def start(self, path: str, status: int, headers: MutableHeaders) -> int:
        return 200


class SendsErrorsAsText(Miniature):
    """Labels its error bodies as plain text."""

    def start(self, path: str, status: int, headers: MutableHeaders) -> int:
        if status >= 400:
            headers["content-type"] = "text/plain; charset=utf-8"
        return status


class LosesTheSentence(Miniature):
    """Puts a sentence of its own in place of the provider's."""

    def answer(self, path: str, status: int, document: Json) -> Json:
        if status >= 400:
            return {"error": {**document["error"], "message": "Something went wrong."}}
        return document


class BlursStatuses(Miniature):
    """Makes a 500 of every failure that is not the client's."""

    def start(self, path: str, status: int, headers: MutableHeaders) -> int:
        return min(status, 500)


class BelievesWords(Miniature):
    """Takes a completion that talks about rate limits for one."""

    def start(self, path: str, status: int, headers: MutableHeaders) -> int:
        return 429 if self.rate_limited else status

    def answer(self, path: str, status: int, document: Json) -> Json:
        self.rate_limited = "rate limited" in str(document)
        return document

    rate_limited = False


class SilencesErrorFrames(Miniature):
    """Turns an error in the middle of a stream into a normal end."""

    def frame(self, number: int, data: Json) -> Json:
        return SWALLOWED if isinstance(data, dict) and "error" in data else data


class QuotesTheConversation(Miniature):
    """Repeats in a refusal what the user said."""

    def question(self, path: str, headers: MutableHeaders, document: Json) -> Json:
        self.said = document.get("messages") if isinstance(document, dict) else None
        return document

    def answer(self, path: str, status: int, document: Json) -> Json:
        if status == 400 and self.said:
            error = document["error"]
            return {"error": {**error, "message": f"{error['message']} Received Messages={self.said}"}}
        return document


class HandsRedirectsOn(Miniature):
    """Sends its client where the provider sent it."""

    def start(self, path: str, status: int, headers: MutableHeaders) -> int:
        return 302 if self.redirected else status

    def answer(self, path: str, status: int, document: Json) -> Json:
        self.redirected = "a redirect is only followed" in str(document)
        return document

    redirected = False


class UnpacksAnything(Miniature):
    """Takes an answer that is packed beyond measure for a completion."""

    def start(self, path: str, status: int, headers: MutableHeaders) -> int:
        return 200 if self.packed else status

    def answer(self, path: str, status: int, document: Json) -> Json:
        self.packed = "compressed more than" in str(document)
        return document

    packed = False


class ForgetsAllowedMethods(Miniature):
    """Answers a wrong method without saying which ones are right."""

    def start(self, path: str, status: int, headers: MutableHeaders) -> int:
        del headers["allow"]
        return status


# --- streams


class BuffersStreams(Miniature):
    """Reads a stream to its end before it sends the first byte of it."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kept: list[Message] = []

        async def keep(message: Message) -> None:
            kept.append(message)

        await self.app(scope, receive, keep)
        for message in kept:
            await send(message)


class SwallowsAChunk(Miniature):
    """Loses the third frame of every stream."""

    def frame(self, number: int, data: Json) -> Json:
        return SWALLOWED if number == 3 else data


class ForgetsDone(Miniature):
    """Ends its streams without `data: [DONE]`."""

    def frame(self, number: int, data: Json) -> Json:
        return SWALLOWED if data == "[DONE]" else data


class LosesStreamedUsage(Miniature):
    """Drops the frame that only brings the usage."""

    def frame(self, number: int, data: Json) -> Json:
        return SWALLOWED if isinstance(data, dict) and "usage" in data else data


class IgnoresDisconnects(Miniature):
    """Never learns that its client has gone, so the provider goes on talking."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def deaf() -> Message:
            message = await receive()
            if message["type"] == "http.disconnect":
                await asyncio.Event().wait()
            return message

        await self.app(scope, deaf, send)


# --- content


class RenamesAField(Miniature):
    """Writes `finishReason` as in JavaScript."""

    def answer(self, path: str, status: int, document: Json) -> Json:
        for choice in document.get("choices", ()):
            choice["finishReason"] = choice.pop("finish_reason")
        return document


class EchoesTheProvidersModel(Miniature):
    """Names the model as the provider does, not as the client asked for it."""

    def answer(self, path: str, status: int, document: Json) -> Json:
        return {**document, "model": "gpt-4o-mini-2024-07-18"} if "model" in document else document

    def frame(self, number: int, data: Json) -> Json:
        return {**data, "model": "gpt-4o-mini-2024-07-18"} if "choices" in data else data


class DamagesText(Miniature):
    """Sends its text through ASCII."""

    def answer(self, path: str, status: int, document: Json) -> Json:
        return _mapped(document, self._damaged)

    def frame(self, number: int, data: Json) -> Json:
        return _mapped(data, self._damaged)

    @staticmethod
    def _damaged(key: str, value: Json) -> Json:
        return value.encode("ascii", "replace").decode() if isinstance(value, str) else value


class DoublesArguments(Miniature):
    """Repeats what a tool is to be called with."""

    def answer(self, path: str, status: int, document: Json) -> Json:
        return _mapped(document, self._doubled)

    def frame(self, number: int, data: Json) -> Json:
        return _mapped(data, self._doubled)

    @staticmethod
    def _doubled(key: str, value: Json) -> Json:
        return value * 2 if key == "arguments" else value


class DropsNulls(Miniature):
    """Leaves out what is null, also the content of a tool call."""

    def answer(self, path: str, status: int, document: Json) -> Json:
        return self._without_nulls(document)

    def _without_nulls(self, value: Json) -> Json:
        if isinstance(value, dict):
            return {k: self._without_nulls(v) for k, v in value.items() if v is not None}
        return [self._without_nulls(item) for item in value] if isinstance(value, list) else value


class KeepsOneChoice(Miniature):
    """Answers with the first of several choices."""

    def answer(self, path: str, status: int, document: Json) -> Json:
        return {**document, "choices": document["choices"][:1]} if "choices" in document else document


# --- headers and length


class LosesTheRequestId(Miniature):
    """Drops the id under which the provider knows the call."""

    def start(self, path: str, status: int, headers: MutableHeaders) -> int:
        del headers["x-request-id"]
        return status


class LeaksTheBackend(Miniature):
    """Shows with every completion which deployment of LiteLLM it came from, and the provider's cookie."""

    def start(self, path: str, status: int, headers: MutableHeaders) -> int:
        if "x-request-id" in headers:
            headers["x-litellm-model-id"] = "d0e1f2"
            headers.append("set-cookie", "__cf_bm=abc; path=/")
        return status


class CountsCharacters(Miniature):
    """Gives the length of a body in characters where bytes are meant."""

    def answer(self, path: str, status: int, document: Json) -> Json:
        self.surplus = len(dumped(document)) - len(dumped(document).decode())
        return document

    def start(self, path: str, status: int, headers: MutableHeaders) -> int:
        if "content-length" in headers:
            headers["content-length"] = str(int(headers["content-length"]) - self.surplus)
        return status


class LosesTheUser(Miniature):
    """Strips the custom header that says who is asking."""

    def question(self, path: str, headers: MutableHeaders, document: Json) -> Json:
        del headers["x-memory-user-id"]
        return document


# --- what goes in, and upstream


class CallsTwice(Miniature):
    """Asks the provider once for nothing, and once more for the answer."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await whole(receive)

        async def discard(message: Message) -> None:
            pass

        await self.app(scope, replayed(body, receive), discard)
        await self.app(scope, replayed(body, receive), send)


class AcceptsAnyKey(Miniature):
    """Lets everyone in who brings some key."""

    def question(self, path: str, headers: MutableHeaders, document: Json) -> Json:
        if "authorization" in headers:
            headers["authorization"] = f"Bearer {MOCKED_KEY}"
        return document


class LocksTheHealthCheck(Miniature):
    """Asks for a key where anybody may ask whether it lives."""

    def start(self, path: str, status: int, headers: MutableHeaders) -> int:
        return 401 if path.startswith("/health") else status


class IgnoresSteering(Miniature):
    """Drops a parameter that it ought to refuse, and says nothing."""

    def question(self, path: str, headers: MutableHeaders, document: Json) -> Json:
        return (
            {k: v for k, v in document.items() if k != "api_base"} if isinstance(document, dict) else document
        )


class ReadsAnythingAsJson(Miniature):
    """Takes every body for JSON, whatever it says to be."""

    def question(self, path: str, headers: MutableHeaders, document: Json) -> Json:
        if "content-type" in headers:
            headers["content-type"] = "application/json"
        return document


class OverlooksTools(Miniature):
    """Looks for nothing that steers inside the tools, and drops those that would."""

    def question(self, path: str, headers: MutableHeaders, document: Json) -> Json:
        if isinstance(document, dict) and any("server_url" in tool for tool in document.get("tools") or ()):
            return {name: value for name, value in document.items() if name != "tools"}
        return document


class IgnoresTheQuery(Miniature):
    """Reads no query, and so refuses none."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await super().__call__({**scope, "query_string": b""}, receive, send)


class GivesUpOnNesting(Miniature):
    """Takes a body that is nested too deeply for one without parameters."""

    def question(self, path: str, headers: MutableHeaders, document: Json) -> Json:
        return {} if isinstance(document, dict) and "nested" in document else document


class DropsUnknownParameters(Miniature):
    """Passes on only the parameters that it has heard of."""

    known = frozenset({"api_base", "max_tokens", "messages", "model", "n", "stream", "temperature", "tools"})
    known |= {"input", "nested", "reasoning_effort", "stream_options", "thinking", "tool_choice"}

    def question(self, path: str, headers: MutableHeaders, document: Json) -> Json:
        return (
            {k: v for k, v in document.items() if k in self.known} if isinstance(document, dict) else document
        )


class RenamesDeveloper(Miniature):
    """Makes a system message of what a developer says."""

    def question(self, path: str, headers: MutableHeaders, document: Json) -> Json:
        return _mapped(document, lambda k, v: "system" if k == "role" and v == "developer" else v)


class JudgesByATable(Miniature):
    """Leaves out what it thinks that a model can't take."""

    def question(self, path: str, headers: MutableHeaders, document: Json) -> Json:
        return _without(document, "metadata")


class ForgetsTheConversation(Miniature):
    """Leaves out the response that a request goes on from, and asks without."""

    def question(self, path: str, headers: MutableHeaders, document: Json) -> Json:
        return _without(document, "previous_response_id")


class LeavesBlocksOut(Miniature):
    """Asks without the parts of a message that it can't hand on."""

    def question(self, path: str, headers: MutableHeaders, document: Json) -> Json:
        if not isinstance(document, dict):
            return document
        messages = document.get("messages")
        return {**document, "messages": [_known(message) for message in messages]} if messages else document


def _known(message: Json) -> Json:
    content = message.get("content") if isinstance(message, dict) else None
    if not isinstance(content, list):
        return message
    return {**message, "content": [part for part in content if part.get("type") != "hologram"]}


class TakesAnySize(Miniature):
    """Sets no limit to schemas, and asks without those that it could never send."""

    def question(self, path: str, headers: MutableHeaders, document: Json) -> Json:
        large = isinstance(document, dict) and "$ref" in str(document.get("tools"))
        return _without(document, "tools") if large else document


class EstimatesTokens(Miniature):
    """Counts the tokens itself where the provider doesn't."""

    def start(self, path: str, status: int, headers: MutableHeaders) -> int:
        return 200 if path.endswith("/count_tokens") else status

    def answer(self, path: str, status: int, document: Json) -> Json:
        return {"input_tokens": 42} if path.endswith("/count_tokens") else document


class ThinksOverTheLimit(Miniature):
    """Raises a limit on an answer that leaves no room to think."""

    def question(self, path: str, headers: MutableHeaders, document: Json) -> Json:
        thinks = isinstance(document, dict) and "reasoning_effort" in document and "max_tokens" in document
        return {**document, "max_tokens": 100_000} if thinks else document


class HasOneDoor(Miniature):
    """Knows its routes by one address each."""

    def start(self, path: str, status: int, headers: MutableHeaders) -> int:
        return 404 if path.startswith("/openai") else status


class WelcomesEveryPage(Miniature):
    """Tells a browser that any page may read its answers."""

    page: str | None = None

    def question(self, path: str, headers: MutableHeaders, document: Json) -> Json:
        self.page = headers.get("origin")
        return document

    def start(self, path: str, status: int, headers: MutableHeaders) -> int:
        if self.page:
            headers["access-control-allow-origin"] = self.page
        return status


class RefusesHints(Miniature):
    """Takes a hint for somebody else for a mistake."""

    def question(self, path: str, headers: MutableHeaders, document: Json) -> Json:
        hinted = isinstance(document, dict) and "prompt_cache_key" in document
        return {**document, "messages": []} if hinted else document


# --- models and routing


class RestlessModels(Miniature):
    """Gives its models another birthday at every call."""

    calls = 0

    def answer(self, path: str, status: int, document: Json) -> Json:
        self.calls += 1
        return _mapped(
            document, lambda k, v: v + self.calls - 1 if k == "created" and "models" in path else v
        )


class NestsTheRouting(Miniature):
    """Wraps the routing answer in `routing`."""

    def answer(self, path: str, status: int, document: Json) -> Json:
        return {"routing": document} if path == "/memory-routing/info" else document


class EchoesHeaders(Miniature):
    """Repeats in the routing answer the team that the caller named in a header."""

    def question(self, path: str, headers: MutableHeaders, document: Json) -> Json:
        self.team = headers.get("x-team")
        return document

    def answer(self, path: str, status: int, document: Json) -> Json:
        return {**document, "team": self.team} if path == "/memory-routing/info" and self.team else document


# --- answers that came in pieces, or from elsewhere


class NumbersCallsAlike(Miniature):
    """Gives every call of a tool the index 0, as providers do that don't number them."""

    def frame(self, number: int, data: Json) -> Json:
        return _mapped(data, lambda k, v: 0 if k == "index" else v)


class SwallowsRefusals(Miniature):
    """Drops what a model says when it refuses."""

    def frame(self, number: int, data: Json) -> Json:
        return _mapped(data, lambda k, v: "" if k == "refusal" else v)


class InventsAnEnd(Miniature):
    """Ends a stream that broke off as if it had been finished."""

    def frame(self, number: int, data: Json) -> Json:
        if not (isinstance(data, dict) and "error" in data):
            return data
        end = {"index": 0, "delta": {}, "finish_reason": "stop"}
        return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "choices": [end]}


class BlamesTheRequest(Miniature):
    """Answers 400 where a provider's answer could not be read."""

    def start(self, path: str, status: int, headers: MutableHeaders) -> int:
        return 400 if status == 502 else status


class CutsTagsOut(Miniature):
    """Takes what stands between tags for reasoning, and leaves it out."""

    def answer(self, path: str, status: int, document: Json) -> Json:
        return _mapped(document, self._without_tags)

    @staticmethod
    def _without_tags(key: str, value: Json) -> Json:
        return re.sub(r"<(\w+)>.*?</\1>", "", value) if key == "content" and isinstance(value, str) else value


class MakesUpACost(Miniature):
    """Adds to the usage what the answer will have cost."""

    def frame(self, number: int, data: Json) -> Json:
        if isinstance(data, dict) and data.get("usage"):
            return {**data, "usage": {**data["usage"], "cost": 0.001}}
        return data


class CountsThoughts(Miniature):
    """Counts the tokens of thoughts that the provider did not count."""

    def frame(self, number: int, data: Json) -> Json:
        if isinstance(data, dict) and data.get("usage"):
            guess = {"completion_tokens_details": {"reasoning_tokens": 5}}
            return {**data, "usage": {**guess, **data["usage"]}}
        return data


def _without(document: Json, name: str) -> Json:
    return {k: v for k, v in document.items() if k != name} if isinstance(document, dict) else document
