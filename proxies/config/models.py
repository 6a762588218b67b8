"""The proxies' configuration: LiteLLM's own config.yaml plus sections of our own (`OUR_SECTIONS`).

config.yaml ──load_config──> ProxyConfig   every `os.environ/NAME` resolved, every mistake reported at once
                                 │
                                 ├─ sdk/config.py      what the sdk architecture would have to ignore
                                 └─ binary/config.py   what the LiteLLM process gets to read
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, field_validator

from proxies.config.clients import CLIENTS
from proxies.config.limits import Limits
from proxies.config.memory import ContextRetrieval
from proxies.config.patterns import compiled
from proxies.config.providers import provider_of
from proxies.config.sharing import SharedStore
from proxies.support.redact import redact_json
from proxies.support.yamlfile import Loc, YamlFile, dotted_path

DEFAULT_MAX_BODY_BYTES = 32 * 1024 * 1024

LITELLM_TOOLS = ("advisor", "file_search", "mcp", "skills")
"""Lists what `general_settings.litellm_tools` may name: tools with which LiteLLM makes calls of its own."""

ENVIRONMENT_ROUTES = (
    "assistants",
    "batches",
    "containers",
    "files",
    "fine_tuning",
    "threads",
    "vector_stores",
    "videos",
)
"""Lists what `general_settings.environment_routes` may name: data routes whose requests go by no configured model."""

ANY_ORIGIN = "*"
"""In `general_settings.cors_origins`: every page."""

MEMORY_KEY = "context_retrieval"
OUR_SECTIONS = ("user_id_mappings", MEMORY_KEY, "limits", "shared_store")
_MODELLED = ("model_list", "general_settings", "litellm_settings", "router_settings", "environment_variables")
# The further top-level keys that LiteLLM 1.106.2 reads; `include` is left out, see `_check_top_level`.
LITELLM_SECTIONS = (
    *_MODELLED,
    "agent_list",
    "agents",
    "assistant_settings",
    "callback_settings",
    "credential_list",
    "default_vertex_config",
    "files_settings",
    "finetune_settings",
    "guardrails",
    "mcp_servers",
    "mcp_tools",
    "policies",
    "policy_attachments",
    "prompts",
    "sandbox_tools",
    "search_tools",
    "vector_store_registry",
    "worker_registry",
)

_SECTIONS = {
    "assistants": "assistant_settings",
    "batches": "files_settings",
    "files": "files_settings",
    "fine_tuning": "finetune_settings",
    "threads": "assistant_settings",
}
"""LiteLLM's sections by the data routes that they are for."""

ENVIRON = "os.environ/"
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_TAKEN_HEADERS = frozenset(
    {
        "authorization",
        "x-api-key",
        "api-key",
        "cookie",
        "host",
        "content-length",
        "content-type",
        "transfer-encoding",
    }
)


def _header_name(value: str) -> str:
    if not _TOKEN.fullmatch(value):
        raise ValueError("is no name of a header; letters, digits and dashes, like x-memory-user-id")
    return value


def _user_id(value: str) -> str:
    if value != value.strip() or not re.fullmatch(r"[ -~]+", value):
        raise ValueError("must be printable ASCII and not empty: it travels as a header")
    return value


def _no_wildcard(model: str) -> str:
    if "*" in model:
        raise ValueError(f"{model!r} is a wildcard; name each model: both proxies must know what they serve")
    return model


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class HeaderPattern(_Strict):
    """One row of `user_id_mappings.header_patterns`: `pattern` is searched in `header`, ignoring case."""

    header: str
    pattern: str
    user_id: str

    @field_validator("header")
    @classmethod
    def _is_header(cls, value: str) -> str:
        return _header_name(value)

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, value: str) -> str:
        if not value:
            raise ValueError("is empty, so it would match everyone; use default_user_id for that")
        compiled(value)
        return value

    @field_validator("user_id")
    @classmethod
    def _travels(cls, value: str) -> str:
        return _user_id(value)


def _user_agent(pattern: str, user_id: str) -> HeaderPattern:
    return HeaderPattern(header="user-agent", pattern=pattern, user_id=user_id)


DEFAULT_PATTERNS = tuple(
    _user_agent(pattern, user_id)
    for pattern, user_id in dict.fromkeys((client.pattern, client.user_id) for client in CLIENTS)
)


class UserIdMappings(_Strict):
    """Who is asking: the custom header, else the first matching pattern, else the default."""

    custom_header: str = "x-memory-user-id"
    header_patterns: Annotated[tuple[HeaderPattern, ...], Field(strict=False)] = DEFAULT_PATTERNS
    default_user_id: str = "default-dev"

    @field_validator("custom_header")
    @classmethod
    def _is_header(cls, value: str) -> str:
        if value.lower() in _TAKEN_HEADERS:
            raise ValueError(f"{value} has a meaning of its own; choose another header")
        return _header_name(value)

    @field_validator("default_user_id")
    @classmethod
    def _travels(cls, value: str) -> str:
        return _user_id(value)


class _Redacted(BaseModel):
    """A model whose repr is fit for a log."""

    model_config = ConfigDict(frozen=True)

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        for name, value in super().__repr_args__():
            yield name, redact_json({name: value})[name]


class Deployment(_Redacted):
    """One entry of `model_list`; several with the same `model_name` are a group, as in LiteLLM."""

    model_config = ConfigDict(extra="allow")

    model_name: Annotated[str, Field(strict=True)]
    litellm_params: dict[str, Any]
    model_info: dict[str, Any] = Field(default_factory=dict)

    @field_validator("model_name")
    @classmethod
    def _one_name(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("is empty; give the name that clients ask for")
        return _no_wildcard(value)

    @field_validator("litellm_params")
    @classmethod
    def _has_model(cls, value: dict[str, Any]) -> dict[str, Any]:
        model = value.get("model")
        if not isinstance(model, str) or not model.strip():
            raise ValueError("needs `model`, the provider and its own name: openai/gpt-4o-mini")
        _no_wildcard(model)
        weight = value.get("weight")
        if weight is not None and (
            isinstance(weight, bool) or not isinstance(weight, int | float) or weight < 0
        ):
            raise ValueError("`weight` must be a number from 0")
        headers = value.get("extra_headers")
        if headers is not None and not (
            isinstance(headers, dict) and all(isinstance(text, str) for text in (*headers, *headers.values()))
        ):
            raise ValueError("`extra_headers` must be a mapping of names to text")
        return value

    @field_validator("model_info", mode="before")
    @classmethod
    def _marked(cls, value: Any) -> Any:
        if isinstance(value, dict) and not isinstance(value.get("supermemory", False), bool):
            raise ValueError("`supermemory` must be true or false")
        if isinstance(value, dict) and not isinstance(value.get(MEMORY_KEY), dict | None):
            raise ValueError(f"`{MEMORY_KEY}` must be a mapping, like the section of that name")
        return {} if value is None else value

    @property
    def memory_overrides(self) -> Mapping[str, Any]:
        """`model_info.context_retrieval`: what the model changes of the section of that name."""
        return self.model_info.get(MEMORY_KEY) or {}

    @property
    def through_supermemory(self) -> bool:
        """Calls to it pass through Supermemory: by the host of `api_base`, or `model_info.supermemory`."""
        if self.model_info.get("supermemory") is True:
            return True
        base = self.litellm_params.get("api_base") or self.litellm_params.get("base_url")
        if not isinstance(base, str):
            return False
        try:
            host = (urlsplit(base if "//" in base else f"//{base}").hostname or "").rstrip(".")
        except ValueError:
            return False
        return host == "supermemory.ai" or host.endswith(".supermemory.ai")


class ProxyConfig(_Redacted):
    """A whole configuration, `os.environ/NAME` resolved."""

    path: Path | None = None
    model_list: tuple[Deployment, ...]
    general_settings: dict[str, Any] = Field(default_factory=dict)
    litellm_settings: dict[str, Any] = Field(default_factory=dict)
    router_settings: dict[str, Any] = Field(default_factory=dict)
    environment_variables: dict[str, Any] = Field(default_factory=dict)
    user_id_mappings: UserIdMappings = UserIdMappings()
    context_retrieval: ContextRetrieval = ContextRetrieval()
    limits: Limits = Limits()
    shared_store: SharedStore | None = None
    other_sections: dict[str, Any] = Field(default_factory=dict, description="LiteLLM's, by top-level key")

    _file: YamlFile | None = PrivateAttr(None)

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        for name, value in super().__repr_args__():
            yield name, dict.fromkeys(value, "***") if name == "environment_variables" else value

    @property
    def master_key(self) -> str:
        return str(self.general_settings["master_key"])

    @property
    def litellm_tools(self) -> frozenset[str]:
        """`general_settings.litellm_tools`: with which tools of a request LiteLLM may make calls of its own."""
        return frozenset(self.general_settings.get("litellm_tools") or ())

    def serves(self, routes: str) -> bool:
        """Tell whether requests of these data routes that go by no model have a provider that was configured.

        `files_settings`, or a deployment at OpenAI, is for files and batches, `finetune_settings` for fine_tuning, and
        `assistant_settings` for assistants and threads. Without an entry LiteLLM takes a key of its environment, which
        `general_settings.environment_routes` allows.
        """
        if routes in (self.general_settings.get("environment_routes") or ()):
            return True
        if _SECTIONS.get(routes) == "files_settings" and any(map(_is_openais, self.model_list)):
            return True  # LiteLLM takes its address and key
        section = self.other_sections.get(_SECTIONS.get(routes, ""))
        if isinstance(section, Mapping):  # assistants have one provider, and it is the one that is asked
            return bool(section.get("custom_llm_provider"))
        entries = section if isinstance(section, list) else []
        return any(
            isinstance(item, Mapping) and item.get("custom_llm_provider") == "openai" for item in entries
        )

    @property
    def cors_origins(self) -> tuple[str, ...]:
        """`general_settings.cors_origins`: whose pages may use the proxy from a browser; none when it isn't set."""
        return tuple(self.general_settings.get("cors_origins") or ())

    @property
    def max_body_bytes(self) -> int:
        """`general_settings.max_request_size_mb` in bytes; 32 MiB when it isn't set."""
        megabytes = self.general_settings.get("max_request_size_mb")
        return DEFAULT_MAX_BODY_BYTES if megabytes is None else int(megabytes * 1024 * 1024)

    def group(self, model: str) -> tuple[Deployment, ...]:
        """The deployments behind one model name; empty when the name is unknown."""
        return tuple(d for d in self.model_list if d.model_name == model)

    def memory_of(self, deployments: Iterable[Deployment]) -> ContextRetrieval:
        """The memory settings of a group: the section's, under the overrides of the first to have any.

        Raises `pydantic.ValidationError` for overrides that don't fit.
        """
        overrides = next((d.memory_overrides for d in deployments if d.memory_overrides), {})
        return self.context_retrieval.with_overrides(overrides) if overrides else self.context_retrieval

    def beside(self, path: str) -> Path:
        """A path of the configuration: relative to its file, or to the working folder where it has none."""
        folder = self.path.parent if self.path else Path()
        return (folder / Path(path).expanduser()).absolute()

    def where(self, loc: Loc) -> str:
        """`file.yaml:12: a.b`; without a file the key alone."""
        return self._file.where(loc) if self._file else dotted_path(loc)

    def as_written(self) -> dict[str, Any]:
        """The whole file as plain data, its `os.environ/NAME` unresolved: fit to be written to disk."""
        if self._file is not None:
            return dict(self._file.data)
        dumped = self.model_dump(mode="json", exclude={"path", "other_sections"})
        return {**dumped, **self.other_sections}


def _is_openais(deployment: Deployment) -> bool:
    return provider_of(deployment.litellm_params) == "openai"
