"""Makes `steering.json` from the installed LiteLLM: `python -m proxies.front.steering_names`. Needs litellm.

its functions' arguments, what they take out of kwargs, its own lists ──> names        not for a client to send
what its source takes out of tools ─────────────────────────────────────> in_tools     nor in a tool
its providers' word ────────────────────────────────────────────────────> file_search  who has that tool itself
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_type_hints

from proxies.front.steering import FILE
from proxies.support.generated_lists import write
from proxies.support.litellm_environment import stay_local

SAFE = frozenset({"metadata", "user", "drop_params"})
"""LiteLLM owns these names and clients may still send them: OpenAI's own two, and one that only drops."""

_OURS = frozenset(
    {
        # Read by the LiteLLM process alone, from the request's body.
        "content_policy_fallbacks",
        "context_window_fallbacks",
        "disable_fallbacks",
        "guardrail_config",
        "include_fallback_errors",
        "input_callback",
        "mock_testing_fallbacks",
        "mock_testing_rate_limit_error",
        "original_function",
        "policies",
        "router_settings_override",
        "rules_obj",
        "service_callback",
        "start_time",
        "user_config",
        # Addresses, credentials and machinery.
        "api_base",
        "api_key",
        "base_url",
        "cache_control_injection_points",
        "client",
        "default_headers",
        "deployment_id",
        "extra_body",
        "extra_headers",
        "extra_query",
        "target_model_names",
        "target_storage",
        "kwargs",
        "organization",
        "timeout",
    }
)
_PASSED_ON = frozenset(
    {
        "include_server_side_tool_invocations",
        "page_token",
        "thinking",
        # Parameters of other routes, which LiteLLM's router looks up by the same names.
        "agent",
        "config",
        "contents",
        "document",
        "file",
        "input",
        "prompt",
        "purpose",
        "query",
        "session",
        "voice",
    }
)

_PASSED_ON_IN_TOOLS = frozenset({"caching", "headers", "id"})
"""Lists members that providers' own tools have, under names that steer elsewhere."""
_SOUNDS_LIKE_STEERING = re.compile(
    r"(^|[_-])(account_id|auth|base|credentials|endpoint|endpoint_id|function_id|host|key|password|port|project"
    r"|project_id|proxy|region|secret|ssl|tenant|tenant_id|token|url|workspace|workspace_id)$"
)
"""How names of addresses and credentials end, which providers' modules take out of a request's parameters."""
OUT_OF_PARAMS = re.compile(
    r"""\b(?:optional_params|litellm_params)\s*(?:\.(?:get|pop)\(|\[)\s*["']([\w-]+)["']"""
)
OUT_OF_TOOLS = re.compile(r"""\b(?:\w*_)?(?:tools?|t)(?:_\w+)?\s*(?:\.(?:get|pop)\(|\[)\s*["']([\w-]+)["']""")


def generate() -> dict[str, list[str]]:
    """All lists as the installed LiteLLM has them, sorted."""
    stay_local()
    sources = _sources()
    names = _names(sources)
    return {
        "names": sorted(names),
        "in_tools": sorted(
            name for name in taken(OUT_OF_TOOLS, sources) - _PASSED_ON_IN_TOOLS if name in names
        ),
        "file_search": sorted(_with_file_search()),
    }


def taken(pattern: re.Pattern[str], sources: Iterable[str]) -> set[str]:
    """The names that source text looks up, where `pattern` says in what."""
    return {name for source in sources for name in pattern.findall(source)}


def _names(sources: Iterable[str]) -> set[str]:
    """Names for which a request is refused.

    What LiteLLM owns, what a deployment may set (credentials, regions, addresses), what its own proxy bans, the
    arguments of its functions that are no parameters of a provider's API, what they take out of their `**kwargs`, and
    what sounds like an address or a credential of what its providers take out of a request's parameters.
    """
    import inspect

    import litellm
    from litellm.responses.main import aresponses_api_with_mcp
    from litellm.types.llms.anthropic import AnthropicMessagesRequest
    from litellm.types.router import GenericLiteLLMParams
    from litellm.types.utils import all_litellm_params
    from openai.types.chat.completion_create_params import CompletionCreateParamsBase
    from openai.types.embedding_create_params import EmbeddingCreateParams
    from openai.types.responses.response_create_params import ResponseCreateParamsBase

    handler = import_module(messages_package(".handler"))
    functions = (
        litellm.acompletion,
        litellm.completion,
        handler.anthropic_messages,
        handler.anthropic_messages_handler,
        litellm.aembedding,
        litellm.embedding,
        litellm.aresponses,
        litellm.responses,
        aresponses_api_with_mcp,
    )
    providers = {
        *CompletionCreateParamsBase.__annotations__,
        "stream",
        *get_type_hints(AnthropicMessagesRequest),
        *EmbeddingCreateParams.__annotations__,
        *ResponseCreateParamsBase.__annotations__,
    }
    arguments = {name for function in functions for name in inspect.signature(function).parameters}
    readers = (*functions, litellm.utils.function_setup, litellm.router.Router)
    looked_up = {name for reader in readers for name in _looked_up(reader)}
    sounding = {name for name in taken(OUT_OF_PARAMS, sources) if _SOUNDS_LIKE_STEERING.search(name)}
    owned = {
        *all_litellm_params,
        *GenericLiteLLMParams.model_fields,
        *arguments,
        *looked_up,
        *_banned(),
        *_OURS,
    }
    return (owned | sounding) - providers - _PASSED_ON - SAFE


def messages_package(inside: str) -> str:
    """Return the name of a module of the package of `/v1/messages`, which LiteLLM has renamed with 1.110."""
    renamed = "litellm.llms.anthropic.messages"
    old = "litellm.llms.anthropic.pass_through.messages"
    return (f"{renamed}.native" if find_spec(renamed) else old) + inside


def _looked_up(function: Callable[..., Any]) -> Iterator[str]:
    """The names that a function looks up in its `kwargs`; LiteLLM lists some of them nowhere else."""
    import inspect

    source = textwrap.dedent(inspect.getsource(inspect.unwrap(function)))
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(
                func=ast.Attribute(value=ast.Name("kwargs"), attr="get" | "pop"),
                args=[ast.Constant(value=str(name)), *_],
            ):
                yield name
            case ast.Subscript(value=ast.Name("kwargs"), slice=ast.Constant(value=str(name))):
                yield name
            case ast.Compare(
                left=ast.Constant(value=str(name)), ops=[ast.In()], comparators=[ast.Name("kwargs")]
            ):
                yield name


def _banned() -> Iterator[str]:
    """Read what LiteLLM's own proxy bans from a body; not imported, which would need all that the proxy needs."""
    import litellm
    from litellm.litellm_core_utils import initialize_dynamic_callback_params as callbacks

    yield from callbacks._supported_callback_params
    yield from callbacks._request_blocked_callback_params
    path = Path(litellm.__file__).parent / "proxy" / "auth" / "auth_utils.py"
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if (
            isinstance(node, ast.AnnAssign)
            and "BANNED" in ast.unparse(node.target)
            and node.value is not None
        ):
            for leaf in ast.walk(node.value):
                if isinstance(leaf, ast.Constant) and isinstance(leaf.value, str):
                    yield leaf.value


def _with_file_search() -> Iterator[str]:
    """The providers to which LiteLLM hands on the tool `file_search`; for others it would search by itself."""
    import contextlib
    import io

    from litellm.types.utils import LlmProviders
    from litellm.utils import ProviderConfigManager

    for provider in LlmProviders:
        # One of them is asked for in vain, which LiteLLM tells by raising and by printing.
        with contextlib.suppress(Exception), contextlib.redirect_stdout(io.StringIO()):
            found = ProviderConfigManager.get_provider_responses_api_config(provider=provider, model="any")
            if found is not None and found.supports_native_file_search():
                yield provider.value


def _sources() -> list[str]:
    """The text of every module of LiteLLM's."""
    import litellm

    return [path.read_text(encoding="utf-8") for path in sorted(Path(litellm.__file__).parent.rglob("*.py"))]


if __name__ == "__main__":
    write(FILE, generate())
