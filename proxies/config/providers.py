"""Where a deployment's calls go: whether LiteLLM knows its provider, and whether its address can be one.

`providers.json` lists what LiteLLM knows, so that no litellm is needed to check a config; `provider_names.py` makes it.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from proxies.support.generated_lists import read
from proxies.support.redact import redact_text, redact_url
from proxies.support.yamlfile import did_you_mean

FILE = Path(__file__).with_suffix(".json")
ADDRESSES = ("api_base", "base_url")

_HOST = re.compile(r"(?!.*\.\.)[\w.-]+|[0-9A-Fa-f:.%]*:[0-9A-Fa-f:.%\w]*")
_SCHEMES = ("http", "https")


def place_problems(params: Mapping[str, Any], own: Collection[str] = ()) -> Iterator[tuple[str, str]]:
    """Find what keeps a deployment from reaching a provider: a key of `litellm_params`, and a sentence about it.

    `own` are providers that the config itself brings along (`litellm_settings.custom_provider_map`).
    """
    for key in ADDRESSES:
        if key in params and params[key] is not None and (wrong := address_problem(params[key])):
            yield key, wrong
    if params.get("use_litellm_proxy"):
        return
    chosen = params.get("custom_llm_provider")
    if isinstance(chosen, str) and chosen:
        if not is_provider(chosen, own):
            yield "custom_llm_provider", _unknown(chosen, own)
        return
    model = params.get("model")
    if isinstance(model, str) and not _is_resolved(model, params, own):
        prefix, slash, _ = model.partition("/")
        yield "model", _unknown(prefix, own, model) if slash else _without_provider(model)


def is_provider(name: str, own: Collection[str] = ()) -> bool:
    """Whether `name` may stand before the slash of a deployment's `model`."""
    return name in known()["providers"] or name in own


def provider_of(params: Mapping[str, Any]) -> str:
    """The provider that a deployment names, before the slash of its `model` or apart; empty for none."""
    model = str(params.get("model"))
    return str(params.get("custom_llm_provider") or (model.partition("/")[0] if "/" in model else ""))


def address_problem(address: Any) -> str:
    """Tell what keeps `address` from being a provider's, and what would be right; empty when nothing does."""
    if not isinstance(address, str):
        return "must be text, an address such as https://api.example.com/v1"
    if not address:
        return "is empty, so calls would go to the provider's usual address; give one, or remove the key"
    if re.search(r"[\s\x00-\x1f\x7f]", address):
        return "has a blank or a line end in it; an address has none"
    try:
        parts = urlsplit(address)
        wrong_port = parts.port == 0
    except ValueError:
        return "is no address: its host or its port can't be read; write https://HOST:PORT/PATH"
    if parts.scheme not in _SCHEMES or not parts.netloc:
        return f"is no address that can be called; {_instead(address, parts)}"
    if wrong_port or not _HOST.fullmatch(parts.hostname or ""):
        return "is no address: its host or its port can't be one; write https://HOST:PORT/PATH"
    return ""


def _instead(address: str, parts: SplitResult) -> str:
    """Says which address may have been meant, without anything secret that stands in it."""
    if match := re.fullmatch(r"([A-Za-z]+)?:?/+([\w[].*)", address):
        near = did_you_mean((match[1] or "").lower(), _SCHEMES) if match[1] else ""
        scheme = "http" if near == "did you mean 'http'?" else "https"
        return f"did you mean {redact_url(f'{scheme}://{match[2]}')}?"
    bare = re.fullmatch(r"[\w.-]+(:\d+)?(/.*)?", address)
    if bare and not parts.netloc:
        return f"did you mean {redact_url(f'https://{address}')}?"
    return "it starts with https:// or http://"


def _is_resolved(model: str, params: Mapping[str, Any], own: Collection[str]) -> bool:
    """Whether LiteLLM finds a provider for `model`: by its prefix, by its whole name, or by where it is."""
    prefix, slash, name = model.partition("/")
    if slash and is_provider(prefix, own):
        return bool(name)
    if model in known()["models"] or any(p.search(model) for p in patterns()):
        return True
    return any(_host(params.get(key)) in known()["hosts"] for key in ADDRESSES)


def _host(address: Any) -> str:
    try:
        return (urlsplit(address).hostname or "").lower() if isinstance(address, str) else ""
    except ValueError:
        return ""


def _unknown(provider: str, own: Collection[str], model: str = "") -> str:
    if is_provider(provider, own):
        return "names a provider, but none of its models; write provider/model, such as openai/gpt-4o-mini"
    hints = [
        did_you_mean(provider.lower(), [*known()["providers"], *own]),
        f"for a server that speaks OpenAI's API write openai/{redact_text(model)}" if model else "",
    ]
    return "; ".join([f"LiteLLM knows no provider {redact_text(provider)!r}", *filter(None, hints)])


def _without_provider(model: str) -> str:
    shown = redact_text(model)
    return f"LiteLLM can't tell whose model {shown!r} is; write provider/model, such as openai/{shown}"


@functools.cache
def known() -> Mapping[str, frozenset[str]]:
    """The generated lists: `providers`, `models` that need no provider, `hosts` that tell it, `patterns`."""
    return read(FILE)


@functools.cache
def patterns() -> tuple[re.Pattern[str], ...]:
    """Return how the name of a model that needs no provider may look. LiteLLM's own, for a config's text alone."""
    return tuple(re.compile(pattern, re.IGNORECASE) for pattern in sorted(known()["patterns"]))
