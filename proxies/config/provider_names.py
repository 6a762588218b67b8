"""Makes `providers.json` from the installed LiteLLM: `python -m proxies.config.provider_names`. Needs litellm.

its list of providers, and those that it has as data ──> providers   may stand before the slash of a model
its lists of models, each asked for its provider ──────> models      need no provider before them
its addresses of providers ────────────────────────────> hosts       tell the provider, too
its rules for models to come ──────────────────────────> patterns
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from proxies.config.providers import FILE
from proxies.support.generated_lists import write
from proxies.support.litellm_environment import stay_local

_CODED = (r"ft:gpt-3\.5-turbo", r"ft:gpt-4", "^gpt-image", "^amazon_nova")
"""Beginnings and parts of names that LiteLLM's code takes for a provider's; the test asks it about each."""


def generate() -> dict[str, list[str]]:
    """All lists as the installed LiteLLM has them, sorted."""
    stay_local()
    providers = set(_providers())
    models = {name for name in _models() if name.partition("/")[0] not in providers and provider_found(name)}
    return {
        "providers": sorted(providers),
        "models": sorted(models),
        "hosts": sorted(set(_hosts())),
        "patterns": sorted({*_CODED, *_rules()}),
    }


def provider_found(model: str, **where: Any) -> str:
    """The provider that LiteLLM finds for `model`; empty when it finds none."""
    from litellm.exceptions import BadRequestError
    from litellm.litellm_core_utils.get_llm_provider_logic import get_llm_provider

    with contextlib.suppress(BadRequestError), contextlib.redirect_stdout(io.StringIO()):
        return str(get_llm_provider(model, **where)[1])
    return ""


def _providers() -> Iterator[str]:
    import litellm
    from litellm.llms.openai_like.json_loader import JSONProviderRegistry

    yield from (str(getattr(provider, "value", provider)) for provider in litellm.provider_list)
    yield from JSONProviderRegistry.list_providers()
    # Named by the code that looks for a provider, and nowhere else.
    yield from (name for name in ("cometapi", "gdc", "heroku", "lemonade", "oci", "sap"))


def _models() -> Iterator[str]:
    import litellm

    yield from litellm.model_cost
    for name in dir(litellm):
        listed = getattr(litellm, name)
        if name.endswith("_models") and isinstance(listed, list | set):
            yield from (model for model in listed if isinstance(model, str))


def _hosts() -> Iterator[str]:
    from litellm.constants import openai_compatible_endpoints

    for endpoint in openai_compatible_endpoints:
        base = endpoint if "://" in endpoint else f"https://{endpoint}"
        host = (urlsplit(base).hostname or "").lower()
        if host and provider_found("a-model-of-nobody", api_base=base):
            yield host


def _rules() -> Iterator[str]:
    from litellm.litellm_core_utils.fallback_generalizations import get_fallback_generalization_rules

    for rule in get_fallback_generalization_rules():
        match rule:
            case {"pattern": str(pattern), "model_info": {"litellm_provider": str()}}:
                yield pattern


if __name__ == "__main__":
    write(FILE, generate())
