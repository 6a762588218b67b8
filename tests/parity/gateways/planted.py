"""Gateways with one bug each, of the kinds that real ones have, and the clause that each breaks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tests.miniature import SWALLOWED, Json, Miniature, dumped, replayed, whole
from tests.parity.gateways.relay import Relay

Make = Callable[[str], ASGIApp]
BUGS: dict[str, tuple[str, Make]] = {}
"""By name the clause that the bug breaks, and how the gateway is made for a provider's URL."""


def bug(clause: str) -> Callable[[type[Miniature]], type[Miniature]]:
    def keep(kind: type[Miniature]) -> type[Miniature]:
        BUGS[kind.__name__] = (clause, lambda provider: kind(Relay(provider)))
        return kind

    return keep


def first_choice(document: Json) -> dict[str, Any] | None:
    choices = document.get("choices") if isinstance(document, dict) else None
    return choices[0] if choices else None


def message(document: Json) -> dict[str, Any]:
    return (first_choice(document) or {}).get("message") or {}


class OnErrors(Miniature):
    """Changes failures alone."""

    def wrong(self, document: Json) -> Json:
        return document

    def answer(self, path: str, status: int, document: Json) -> Json:
        return self.wrong(document) if status >= 400 and isinstance(document, dict) else document


@bug("errors.envelope")
class WrapsErrorsInDetail(OnErrors):
    def wrong(self, document: Json) -> Json:
        return {"detail": document["error"]}


@bug("errors.message")
class LosesTheSentence(OnErrors):
    def wrong(self, document: Json) -> Json:
        return {**document, "error": {**document["error"], "message": "Something went wrong."}}


@bug("messages.envelope")
class ForgetsAnthropicsForm(OnErrors):
    def wrong(self, document: Json) -> Json:
        return {"error": document["error"]}


@bug("errors.envelope")
class SaysErrorsInWords(OnErrors):
    def wrong(self, document: Json) -> Json:
        return {**document, "error": "Too bad."}


@bug("errors.retry-after")
class DropsRetryAfter(Miniature):
    def start(self, path: str, status: int, headers: MutableHeaders) -> int:
        del headers["retry-after"]
        return status


@bug("errors.status-first")
class AnswersErrorsWith200(Miniature):
    def start(self, path: str, status: int, headers: MutableHeaders) -> int:
        return 200


@bug("errors.status-first")
class BlursStatuses(Miniature):
    def start(self, path: str, status: int, headers: MutableHeaders) -> int:
        return 500 if status > 500 else status


@bug("requests.types")
class AcceptsAnything(Miniature):
    def start(self, path: str, status: int, headers: MutableHeaders) -> int:
        return 200 if status == 400 else status


@bug("headers.response.encoding")
class ForgetsTheEncoding(Miniature):
    def start(self, path: str, status: int, headers: MutableHeaders) -> int:
        del headers["content-encoding"]
        return status


@bug("stream.sse")
class CallsStreamsJson(Miniature):
    def start(self, path: str, status: int, headers: MutableHeaders) -> int:
        if headers.get("content-type", "").startswith("text/event-stream"):
            headers["content-type"] = "application/json"
        return status


@bug("stream.sse")
class SwallowsChunks(Miniature):
    def frame(self, number: int, data: Json) -> Json:
        choice = first_choice(data)
        return SWALLOWED if choice and choice.get("delta", {}).get("content") else data


@bug("stream.done")
class ForgetsDone(Miniature):
    def frame(self, number: int, data: Json) -> Json:
        return SWALLOWED if data == "[DONE]" else data


@bug("stream.finish-reason")
class LosesTheFinishReason(Miniature):
    def frame(self, number: int, data: Json) -> Json:
        choice = first_choice(data)
        return {**data, "choices": [{**choice, "finish_reason": None}]} if choice else data


@bug("stream.usage")
class LosesStreamedUsage(Miniature):
    def frame(self, number: int, data: Json) -> Json:
        return {**data, "usage": None} if isinstance(data, dict) else data


@bug("stream.indexes")
class MixesChoices(Miniature):
    def frame(self, number: int, data: Json) -> Json:
        if first_choice(data) is None:
            return data
        return {**data, "choices": [{**choice, "index": 0} for choice in data["choices"]]}


@bug("stream.error-after-first")
class SilencesErrorFrames(Miniature):
    def frame(self, number: int, data: Json) -> Json:
        return SWALLOWED if isinstance(data, dict) and "error" in data else data


@bug("messages.stream")
class ForgetsMessageStop(Miniature):
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sent(told: Message) -> None:
            if b"message_stop" not in told.get("body", b""):
                await send(told)
            elif not told.get("more_body"):
                await send({**told, "body": b""})

        await self.app(scope, receive, sent)


@bug("stream.immediate")
class BuffersStreams(Miniature):
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kept = b""

        async def sent(told: Message) -> None:
            nonlocal kept
            kept += told.get("body", b"")
            if told["type"] == "http.response.start":
                await send(told)
            elif not told.get("more_body"):
                await send({**told, "body": kept})

        await self.app(scope, receive, sent)


class _Patient(Miniature):
    """Goes on although its client has left."""


BUGS["IgnoresDisconnects"] = ("stream.disconnect", lambda provider: _Patient(Relay(provider, patient=True)))


@bug("stream.incomplete")
class InventsAnEnd(Miniature):
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        streams = False

        async def sent(told: Message) -> None:
            nonlocal streams
            if told["type"] == "http.response.start":
                streams = b"text/event-stream" in dict(told["headers"]).get(b"content-type", b"")
            await send(told)

        try:
            await self.app(scope, receive, sent)
        except Exception:
            if not streams:
                raise
            end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
            frame = b"data: " + dumped(end) + b"\n\ndata: [DONE]\n\n"
            await send({"type": "http.response.body", "body": frame, "more_body": False})


@bug("errors.unreachable")
class HidesABrokenProvider(Miniature):
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self.app(scope, receive, send)
        except Exception:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"{}"})


@bug("errors.retries")
class CallsTwice(Miniature):
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await whole(receive)

        async def nowhere(_told: Message) -> None:
            await asyncio.sleep(0)

        await Relay(self.app._provider)._answer(scope, body, nowhere)  # type: ignore[attr-defined]
        await self.app(scope, replayed(body, receive), send)


@bug("chat.plain")
class RenamesAField(Miniature):
    def answer(self, path: str, status: int, document: Json) -> Json:
        said = message(document)
        return {**document, "choices": [{"message": {"text": said.get("content")}}]} if said else document


@bug("chat.plain")
class LosesUsage(Miniature):
    def answer(self, path: str, status: int, document: Json) -> Json:
        return {k: v for k, v in document.items() if k != "usage"} if first_choice(document) else document


@bug("chat.unicode")
class DamagesText(Miniature):
    def answer(self, path: str, status: int, document: Json) -> Json:
        said = message(document)
        if isinstance(said.get("content"), str):
            said["content"] = said["content"].encode("ascii", "replace").decode()
            return {**document, "changed": True}
        return document


@bug("chat.tools")
class DoublesArguments(Miniature):
    def answer(self, path: str, status: int, document: Json) -> Json:
        for call in message(document).get("tool_calls") or []:
            call["function"]["arguments"] += call["function"]["arguments"]
            document = {**document, "changed": True}
        return document


@bug("chat.choices")
class KeepsOneChoice(Miniature):
    def answer(self, path: str, status: int, document: Json) -> Json:
        choice = first_choice(document)
        return {**document, "choices": [choice]} if choice else document


@bug("chat.logprobs")
class DropsLogprobs(Miniature):
    def answer(self, path: str, status: int, document: Json) -> Json:
        choice = first_choice(document)
        return {**document, "choices": [{**choice, "logprobs": None}]} if choice else document


@bug("embeddings.plain")
class RoundsEmbeddings(Miniature):
    def answer(self, path: str, status: int, document: Json) -> Json:
        if path != "/v1/embeddings" or status != 200:
            return document
        return {**document, "data": [{**item, "embedding": [0.5]} for item in document["data"]]}


@bug("responses.plain")
class EmptiesResponses(Miniature):
    def answer(self, path: str, status: int, document: Json) -> Json:
        return (
            {**document, "output": []} if isinstance(document, dict) and document.get("output") else document
        )


@bug("messages.thinking")
class DropsSignatures(Miniature):
    def answer(self, path: str, status: int, document: Json) -> Json:
        if not isinstance(document, dict) or not isinstance(document.get("content"), list):
            return document
        return {
            **document,
            "content": [{k: v for k, v in b.items() if k != "signature"} for b in document["content"]],
        }


@bug("models.list")
class ListsNames(Miniature):
    def answer(self, path: str, status: int, document: Json) -> Json:
        return [m["id"] for m in document["data"]] if path == "/v1/models" and status == 200 else document


def drops(member: str, clause: str, name: str) -> None:
    """A gateway that doesn't know one member of a request."""

    class Drops(Miniature):
        def question(self, path: str, headers: MutableHeaders, document: Json) -> Json:
            if not isinstance(document, dict):
                return document
            return {k: v for k, v in document.items() if k != member}

    BUGS[name] = (clause, lambda provider: Drops(Relay(provider)))


drops("tools", "chat.tools", "DropsTools")
drops("response_format", "chat.response-format", "DropsTheFormat")
drops("verbosity_hint", "chat.unknown-parameters", "DropsUnknownParameters")
drops("system", "messages.blocks", "DropsTheSystemPrompt")
drops("encoding_format", "embeddings.encoding", "DropsTheEncodingFormat")
drops("instructions", "responses.parameters", "DropsInstructions")


@bug("chat.messages")
class ReordersMessages(Miniature):
    def question(self, path: str, headers: MutableHeaders, document: Json) -> Json:
        if path != "/v1/chat/completions" or not isinstance(document, dict):
            return document
        asked = document.get("messages")
        return {**document, "messages": asked[::-1]} if isinstance(asked, list) else document
