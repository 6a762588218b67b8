"""The provider's own sentence, taken out of what LiteLLM wraps around it.

litellm.RateLimitError: AnthropicException - {"error": {"type": …, "message": "Slow down"}}
\\_________ wrappers __________________________/ \\______ the provider's body _____________/
\\n\\nLiteLLM: model group 'x' failed with the error above. …
\\_________ tail _________________________________________/
"""

from __future__ import annotations

import ast
import json
import re
from typing import Any, NamedTuple

from proxies.chunks import cut
from proxies.support.jsontext import text_or_none
from proxies.support.redact import MASK, redact_text


class Said(NamedTuple):
    """Holds what the provider said: `sentence` (empty when it said nothing readable), its `type` and `code`.

    `html`: it sent a page instead.
    """

    sentence: str
    type: str | None = None
    code: str | None = None
    html: bool = False


_TAIL = re.compile(
    r"(?:"
    r"\n[ \t]*LiteLLM: model group '.*"
    r"|\nmodel=\S+ \w+_fallback\w*=.*"
    r"|\n[ \t]*Deployment Info:.*"
    r"|Received Model Group=.*"
    r"|Available Model Group Fallbacks=.*"
    r"|LiteLLM Retried: \d+ times.*"
    r"|Traceback \(most recent call last\):.*"
    r"|\.? Handle with `litellm\.\w+`\.?"
    r")\Z",
    re.DOTALL,
)
_HEAD = re.compile(
    r"^(?:"
    r"litellm\.\w+: "
    r"|\w+(?:Error|Exception): (?=\w+(?:Error|Exception)\b|litellm\.)"
    r"|Timeout Error: (?=\w+Exception - )"
    r"|\w+Exception(?: \w+Error)? - "
    r"|AnthropicError - "
    r"|APITimeoutError - Request timed out\.\s*Error_str: "
    r")"
)
_ERROR_CODE = re.compile(r"^Error code: \d{3}(?: - (?P<body>.*))?$", re.DOTALL)
# How LiteLLM prints what failed in the middle of OpenRouter's stream.
_OF_A_ROUTER = re.compile(r"^Message: (?P<said>.*), Metadata: \{.*\}, User ID:[^,]*$", re.DOTALL)
# A body whose sentence LiteLLM took for the start of a traceback, and so cut off.
_CUT_BODY = re.compile(r"^\{\s*\"(?:error|type)\"\s*:")
_HTML = re.compile(r"<(?:!doctype|html|head|body|center|h1)\b", re.IGNORECASE)


def clean_message(text: str) -> Said:
    """Read what the provider said from an error text of the LiteLLM process or of `litellm`'s exceptions.

    The two give the same result for the same provider bytes. Wrappers are removed only from texts that
    LiteLLM made, so that a provider's sentence which looks like one survives. Credentials are masked, and
    so is what the process had masked already; an HTML page is no sentence.
    """
    core = text.strip()
    wrapped = core.startswith(("litellm.", "Error code: "))
    if wrapped:
        core = _unwrap(core)
    body = _parsed(core)
    if isinstance(body, str):
        core = body
    elif body is None and wrapped and _CUT_BODY.match(core):
        return Said("")
    elif body is not None:
        inner = body.get("error", body)
        if isinstance(inner, str):
            return Said(_fit(inner))
        if isinstance(inner, dict):
            sentence = inner.get("message") or inner.get("detail")
            return Said(
                _fit(sentence if isinstance(sentence, str) else ""),
                text_or_none(inner.get("type")),
                text_or_none(inner.get("code")),
            )
    return Said("", html=True) if _HTML.search(core) else Said(_fit(core))


def of_validation(detail: Any) -> dict[str, str | None] | None:
    """The `message` and `param` of FastAPI's list of what is wrong with a request; None when it is no such list."""
    try:
        # The first part is where it was looked for: body, query, path or header.
        found = [(".".join(map(str, problem["loc"][1:])), str(problem["msg"])) for problem in detail]
    except (TypeError, KeyError):
        return None
    if not found:
        return None
    said = "; ".join(f"{name}: {message}" if name else message for name, message in found)
    return {"message": said, "param": found[0][0] or None}


def _unwrap(text: str) -> str:
    if body := _whole_object(_behind_heads(text)):
        return body  # whatever its sentence looks like
    # Blanks are dealt with outside of the pattern: inside, a long run of them takes cubic time.
    while found := _TAIL.search(text := text.rstrip()):
        text = text[: found.start()].rstrip()
        if found[0].startswith("Received"):
            text = text.rstrip(" .\n")
    text = _behind_heads(re.sub(r"^(.*?Exception -)$", r"\1 ", text))
    if match := _OF_A_ROUTER.match(text):
        text = match["said"]
    if match := _ERROR_CODE.match(text):
        text = match["body"] or ""
    return text.strip()


def _behind_heads(text: str) -> str:
    while match := _HEAD.match(text):
        text = text[match.end() :]
    return text


def _whole_object(text: str) -> str:
    """The JSON object that `text` is, but for LiteLLM's tail; empty when it isn't one."""
    try:
        value, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return ""
    rest = text[end:].rstrip()
    tail = _TAIL.search(rest)
    only = isinstance(value, dict) and not (rest[: tail.start()] if tail else rest).strip()
    return text[:end] if only else ""


def _parsed(text: str) -> dict[str, Any] | str | None:
    """The JSON object that `text` is, also as Python prints it (a dict, or bytes); other bytes as text."""
    if not text.startswith(("{", "b'", 'b"')):
        return None
    for read in (json.loads, ast.literal_eval):
        try:
            value = read(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
        if isinstance(value, bytes):
            inside = value.decode("utf-8", "replace").strip()
            return _parsed(inside) or inside
        return value if isinstance(value, dict) else None
    return None


def _fit(sentence: str) -> str:
    # The process masks with a word of its own; one mask for both, before ours looks at the surroundings.
    return redact_text(cut(sentence).replace("REDACTED", MASK)).strip()
