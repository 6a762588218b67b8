"""Refuses what LiteLLM would leave out of a conversation on its way into another dialect, and names its place.

A picture, a file, a search result: each block either reaches the provider or answers 400. Which ones LiteLLM hands on
was found by sending each, at each place, on each route, to providers of both kinds. Providers whose API is neither
OpenAI's nor Anthropic's aren't looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from proxies.config.models import Deployment
from proxies.errors import ProxyError
from proxies.front.handing_on import COMPATIBLE, provider_behind

_Blocks = Iterator[tuple[str, bool]]
"""Places as clients write them, and whether what is there reaches the provider."""

_OWN_MESSAGES = frozenset({"anthropic", "deepseek"})
"""Providers that are asked in Anthropic's API when the client did so."""

_TEXT = frozenset({"text"})
_SENT_AS_CHAT = {
    "user": frozenset({"text", "image", "document", "tool_result"}),
    "assistant": frozenset({"text", "tool_use", "thinking", "redacted_thinking"}),
}
_SENT_IN_RESULTS = frozenset({"text", "image", "document"})
_SENT_TO_CLAUDE = {
    "user": frozenset({"text", "image_url", "file", "document"}),
    "assistant": frozenset({"text", "thinking", "redacted_thinking"}),
    "tool": frozenset({"text", "image_url", "file"}),
    "function": frozenset({"text", "image_url", "file"}),
}
_SENT_BY_USERS = frozenset({
    "text", "image_url", "input_audio", "audio_url", "document", "video_url", "file", "guarded_text",
    "grounding_source", "query"
})  # fmt: skip
"""Parts of a user's message that LiteLLM takes for any provider; those of other roles it doesn't look at."""

_ITEMS = frozenset({
    "message", "reasoning", "function_call", "function_call_output", "custom_tool_call",
    "custom_tool_call_output", "computer_call_output", "tool_result", "web_search_call"
})  # fmt: skip
_TEXTS = frozenset({"input_text", "output_text", "text"})


def check_attachments(body: Mapping[str, Any], route: str, deployments: Iterable[Deployment]) -> None:
    """Return when each block reaches whichever of the deployments is asked; raises `ProxyError` 400 with its place."""
    looks = dict.fromkeys(look for d in deployments if (look := _look(route, d)) is not None)
    for look in looks:
        for place, arrives in look(body):
            if not arrives:
                raise ProxyError(
                    400,
                    f"The block '{place}' can't be handed on to the provider of this model, "
                    "whose API has no such thing.",
                    param=place,
                )


def _look(route: str, deployment: Deployment) -> Callable[[Mapping[str, Any]], _Blocks] | None:
    params = deployment.litellm_params
    provider = provider_behind(params)
    compatible = provider in COMPATIBLE or provider == "azure"
    match route:
        case "messages" if compatible and provider not in _OWN_MESSAGES:
            return _of_messages
        case "chat/completions" if provider == "anthropic":
            return _of_chat_to_claude
        case "chat/completions" if compatible:
            return _of_chat
        case "responses" if provider == "anthropic":
            return _of_input_to_claude
        case "responses" if compatible and (
            provider not in ("openai", "azure") or params.get("use_chat_completions_api")
        ):
            return _of_input
    return None


def _of_messages(body: Mapping[str, Any]) -> _Blocks:
    """Anthropic's blocks, of which LiteLLM makes OpenAI's."""
    for place, block in _parts(body.get("system"), "system"):
        yield place, block.get("type") in _TEXT
    for at, message in _parts(body.get("messages"), "messages"):
        sent = _SENT_AS_CHAT.get(str(message.get("role")), _TEXT)
        for place, block in _parts(message.get("content"), f"{at}.content"):
            yield place, block.get("type") in sent and _has_source(block)
            yield f"{place}.context", not block.get("context")
            if block.get("type") == "tool_result":
                for inner, result in _parts(block.get("content"), f"{place}.content"):
                    yield inner, result.get("type") in _SENT_IN_RESULTS and _has_source(result)
                    yield f"{inner}.context", not result.get("context")


def _has_source(block: Mapping[str, Any]) -> bool:
    """Whether a picture or a document, if it is one, brings bytes or an address; a text or a file's id is lost."""
    if block.get("type") not in ("image", "document"):
        return True
    source = block.get("source")
    return isinstance(source, Mapping) and source.get("type") in ("base64", "url")


def _of_chat_to_claude(body: Mapping[str, Any]) -> _Blocks:
    """OpenAI's parts, of which LiteLLM makes Anthropic's blocks."""
    for at, message in _parts(body.get("messages"), "messages"):
        sent = _SENT_TO_CLAUDE.get(str(message.get("role")), _TEXT)
        for place, part in _parts(message.get("content"), f"{at}.content"):
            yield place, part.get("type") in sent
        yield f"{at}.audio", not message.get("audio")
        yield f"{at}.refusal", not message.get("refusal") or bool(message.get("content"))


def _of_chat(body: Mapping[str, Any]) -> _Blocks:
    """OpenAI's parts for a provider with OpenAI's API; LiteLLM would refuse those that it doesn't know."""
    for at, message in _parts(body.get("messages"), "messages"):
        if message.get("role") == "user":
            for place, part in _parts(message.get("content"), f"{at}.content"):
                yield place, part.get("type") in _SENT_BY_USERS


def _of_input(body: Mapping[str, Any]) -> _Blocks:
    """A response's items, of which LiteLLM makes the messages of a chat completion."""
    yield from _items(body, lambda file: "file_url" not in file)


def _of_input_to_claude(body: Mapping[str, Any]) -> _Blocks:
    """The same for Anthropic, which takes addresses of files, too."""
    yield from _items(body, lambda file: True)


def _items(body: Mapping[str, Any], file_arrives: Callable[[Mapping[str, Any]], bool]) -> _Blocks:
    for at, item in _parts(body.get("input"), "input"):
        kind = item.get("type", "message")
        yield at, kind in _ITEMS
        if kind != "message":
            continue  # results of tools arrive whole, and calls have no parts
        for place, part in _parts(item.get("content"), f"{at}.content"):
            match part.get("type"):
                case "input_image":
                    yield place, item.get("role") == "user" and bool(part.get("image_url"))
                case "input_file":
                    yield place, item.get("role") == "user" and file_arrives(part)
                case text:
                    yield place, text in _TEXTS


def _parts(value: Any, place: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each object of a list, with its place."""
    for index, part in enumerate(value if isinstance(value, list) else ()):
        if isinstance(part, Mapping):
            yield f"{place}[{index}]", part
