"""Says in our own words why LiteLLM refused a request before it asked the provider: its own quote the conversation."""

from __future__ import annotations

import re

from proxies.errors import ProxyError

_READ = 2000
"""Characters of LiteLLM's text that are looked at; what follows is the request, quoted."""

_NAMES = re.compile(
    r"does not support parameters: \[(?P<list>[^\]]{1,500})\]"
    r"|Setting \{?'?(?P<one>[a-z][a-z_]{0,63})\b.{0,200}? (?:is|are) not supported"
)
_NAME = re.compile(r"'([a-z][a-z_]{0,63})'")

_KINDS = (
    (r"Unmapped LLM provider", "The provider of this model has no such route.", "model"),
    (r"Invalid model name", "The model does not exist.", "model"),
    (r"tool call arguments", "The arguments of a tool call must be a JSON object.", "messages"),
    (r"[Ii]mage[ _]url|image/", "An image is neither an address nor a data URL of a known type.", "messages"),
    (r"tool[ _]choice", "This is no tool choice that the provider of this model knows.", "tool_choice"),
    (r"tool type|\btools\b", "A tool has a form that the provider of this model does not know.", "tools"),
    (
        r"[Ii]nvalid (user )?[Mm]essage|\b[Rr]ole\b|content block|file_id",
        "A message has a role or a content that the provider of this model does not know.",
        "messages",
    ),
)
_OWN = re.compile(
    r"^litellm\.UnsupportedParamsError: |Received Messages=\[|: Failed to parse tool call arguments for tool '"
    r"|litellm\.BadRequestError: Invalid (Message passed in|tool choice, tool_choice=)"
    r"|Invalid user message at index \d+\. Please|^Incompatible tool choice param submitted - "
    r"|^litellm\.APIConnectionError: Unsupported tool type: |Unmapped LLM provider for this endpoint"
)
_OTHER = "The provider of this model cannot be asked with a request of this form."


def is_litellms_own(text: str) -> bool:
    """Whether LiteLLM says so before it asks a provider: what can be told where nobody has noted it."""
    return _OWN.search(text) is not None


def refused_by_litellm(text: str, route: str) -> ProxyError:
    """The failure of a request that LiteLLM refused with `text`; nothing of the request is in it but names it knows."""
    said = text.partition("Received Messages")[0][:_READ]
    if found := _NAMES.search(said):
        names = [found["one"]] if found["one"] else _NAME.findall(found["list"])
        if names:
            named = ", ".join(f"'{name}'" for name in names)
            return ProxyError(400, f"The provider of this model does not support {named}.", param=names[0])
    for pattern, sentence, param in _KINDS:
        if re.search(pattern, said):
            return ProxyError(400, sentence, param=_field(route) if param == "messages" else param)
    return ProxyError(400, _OTHER)


def _field(route: str) -> str:
    """Return the parameter that holds the conversation on the route."""
    return "input" if route == "responses" else "messages"
