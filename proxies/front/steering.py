"""Which body parameters would steer LiteLLM instead of reaching the provider.

`steering.json` lists them, so that the front needs no litellm to know them. It is generated:
`python -m proxies.front.steering` rewrites it from the installed LiteLLM.
"""

from __future__ import annotations

import ast
import functools
import json
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_type_hints

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
        "kwargs",
        "organization",
        "timeout",
    }
)
_PASSED_ON = frozenset(
    {
        "include_server_side_tool_invocations",
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
_LABELS = frozenset({"id", "name", "session_id", "tags", "user_id"})
"""Keys of `metadata` that only label a request."""
_PREFIXES = ("_", "litellm_")
_FILE = Path(__file__).with_suffix(".json")


def is_steering(name: str) -> bool:
    """Whether a client may not send this parameter."""
    return name in steering_names() or name.startswith(_PREFIXES)


def is_steering_label(name: str) -> bool:
    """Whether a client may not send this key of `metadata`, where LiteLLM looks for some of its names too."""
    return is_steering(name) and name not in _LABELS


@functools.cache
def steering_names() -> frozenset[str]:
    """The generated list."""
    return frozenset(json.loads(_FILE.read_text(encoding="utf-8"))["names"])


def generate() -> list[str]:
    """The names as the installed LiteLLM has them, sorted. Needs litellm.

    What it owns, what a deployment may set (credentials, regions, addresses), the arguments of its functions
    that are no parameters of a provider's API, and what they take out of their `**kwargs`.
    """
    import inspect

    stay_local()
    import litellm
    from litellm.llms.anthropic.pass_through.messages import handler
    from litellm.responses.main import aresponses_api_with_mcp
    from litellm.types.llms.anthropic import AnthropicMessagesRequest
    from litellm.types.router import GenericLiteLLMParams
    from litellm.types.utils import all_litellm_params
    from openai.types.chat.completion_create_params import CompletionCreateParamsBase
    from openai.types.embedding_create_params import EmbeddingCreateParams
    from openai.types.responses.response_create_params import ResponseCreateParamsBase

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
    taken = {name for reader in readers for name in _taken(reader)}
    owned = {*all_litellm_params, *GenericLiteLLMParams.model_fields, *arguments, *taken, *_OURS}
    return sorted(owned - providers - _PASSED_ON - SAFE)


def _taken(function: Callable[..., Any]) -> Iterator[str]:
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


def main() -> None:
    from importlib.metadata import version

    data = {"litellm": version("litellm"), "names": generate()}
    _FILE.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
