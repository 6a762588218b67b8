"""Loads config.yaml: every mistake is reported at once, with its line, and every `os.environ/NAME` resolved."""

from __future__ import annotations

import difflib
import hashlib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from proxies.config.memory import ContextRetrieval
from proxies.config.models import (
    _MODELLED,
    ENVIRON,
    ENVIRONMENT_ROUTES,
    LITELLM_SECTIONS,
    LITELLM_TOOLS,
    MEMORY_KEY,
    OUR_SECTIONS,
    ProxyConfig,
)
from proxies.config.origins import origin_problem
from proxies.config.providers import place_problems
from proxies.config.secret_values import register_secrets
from proxies.support.redact import register_secret
from proxies.support.yamlfile import Loc, YamlError, YamlFile, did_you_mean, explain, load

CONFIG_VARIABLE = "MEMORY_PROXY_CONFIG"


LITELLM_URL_VARIABLE = "MEMORY_PROXY_LITELLM_URL"


LITELLM_KEY_VARIABLE = "MEMORY_PROXY_LITELLM_KEY"


# LiteLLM refuses to start with these (it keeps the digest too), after ten seconds and in its own words.
_PUBLIC_MASTER_KEYS = frozenset({"88dc28d0f030c55ed4ab77ed8faf098196cb1c05df778539800c9f1243fe6b4b"})


_SHORTEST_KEY = 16
_FEWEST_KINDS = 6
"""Different characters in a key, its `sk-` aside: `sk-1111111111111111` is long and worth nothing."""

_OFTEN_CHOSEN = re.compile(
    "change|replace|default|example|password|qwerty|litellm|master|secret|please|proxy|admin|token|dev|prod|test|demo"
    r"|your|pass|here|this|abc|xyz|api|key|the|my|me|a|\d+|[\W_]",
    re.IGNORECASE,
)
"""Words, numbers and signs that manuals and people put in the place of a key."""

_NEW_KEY = "make one with: python -c \"import secrets; print('sk-' + secrets.token_hex(24))\""


class ConfigError(ValueError):
    """A configuration that can't be served. `problems`: one `file:line: key: what would be right` each."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(self.problems))


def load_config(path: str | Path) -> ProxyConfig:
    """Reads and checks a config file. Raises `ConfigError` that lists every problem found.

    The master key and the providers' keys are registered with the redactor.
    """
    try:
        file = load(path, yes_no=True)
    except YamlError as error:
        raise ConfigError([str(error)]) from None
    if not isinstance(file.data, dict):
        raise ConfigError([f"{file.where(())}: a config is a mapping that starts with `model_list:`"])

    problems = _Problems(file)
    data = {key: {} if value is None else value for key, value in file.data.items()}
    _check_top_level(data, problems)
    data = _resolve(data, (), problems)
    _check_general(data, problems)
    fields = {key: data[key] for key in (*_MODELLED, *OUR_SECTIONS) if key in data}
    fields.setdefault("model_list", ())
    others = {key: data[key] for key in LITELLM_SECTIONS if key not in _MODELLED and key in data}
    try:
        config = ProxyConfig(path=Path(path), other_sections=others, **fields)
    except ValidationError as error:
        problems.found += explain(error, file, ProxyConfig)
    else:
        _check_memory_header(config, problems)
        _check_shared(config.context_retrieval, (MEMORY_KEY,), config, problems)
        _check_memory_overrides(config, problems)
        _check_places(config, problems)
    if problems.found:
        raise ConfigError(problems.sorted())
    config._file = file
    register_secret(config.master_key)
    register_secrets(config.model_dump(exclude={"path"}))
    return config


def config_from_environment() -> ProxyConfig:
    """The config named by MEMORY_PROXY_CONFIG, for application factories. Raises `ConfigError`."""
    path = os.environ.get(CONFIG_VARIABLE, "")
    if not path:
        raise ConfigError([f"the environment variable {CONFIG_VARIABLE} must name a config file"])
    return load_config(path)


def litellm_key(config: ProxyConfig) -> str:
    """The key for an external LiteLLM: MEMORY_PROXY_LITELLM_KEY, else the config's master key."""
    key = os.environ.get(LITELLM_KEY_VARIABLE) or config.master_key
    register_secret(key)
    return key


class _Problems:
    """Collects complaints, at most one a place."""

    def __init__(self, file: YamlFile) -> None:
        self.file = file
        self.found: list[str] = []
        self.places: set[tuple[str | int, ...]] = set()

    def add(self, loc: Loc, sentence: str) -> None:
        if tuple(loc) not in self.places:
            self.places.add(tuple(loc))
            self.found.append(f"{self.file.where(loc)}: {sentence}")

    def sorted(self) -> list[str]:
        def line(problem: str) -> int:
            number = problem.removeprefix(f"{self.file.path}:").partition(":")[0]
            return int(number) if number.isdigit() else 0

        return sorted(dict.fromkeys(self.found), key=line)


def _check_top_level(data: Mapping[Any, Any], problems: _Problems) -> None:
    known = (*LITELLM_SECTIONS, *OUR_SECTIONS)
    for key in data:
        if key == "include":
            problems.add((key,), "other files are not read; put their content into this one")
        elif key not in known:
            hint = did_you_mean(str(key), known)
            problems.add((key,), f"unknown key; {hint}" if hint else "neither LiteLLM's nor ours; remove it")
    if not data.get("model_list"):
        problems.add(("model_list",), "needs at least one model, each with model_name and litellm_params")


def _check_general(data: Mapping[str, Any], problems: _Problems) -> None:
    general = data.get("general_settings", {})
    if not isinstance(general, dict):
        return
    loc = ("general_settings", "master_key")
    key = general.get("master_key")
    if key is None:
        mend = _misspelt("master_key", general, problems.file) or _NEW_KEY
        problems.add(loc, f"is missing, and nothing is served without a key; {mend}")
    elif not isinstance(key, str):
        problems.add(loc, "must be text; put it in quotes")
    elif not key.strip():
        problems.add(loc, f"is empty, and nothing is served without a key; {_NEW_KEY}")
    elif hashlib.sha256(key.strip().encode()).hexdigest() in _PUBLIC_MASTER_KEYS:
        problems.add(loc, f"is the example from LiteLLM's manual, which everyone knows; {_NEW_KEY}")
    elif not re.fullmatch(r"[!-~]+", key):
        problems.add(loc, f"has characters that a header can't carry; {_NEW_KEY}")
    elif _is_guessable(key):
        problems.add(
            loc, f"can be guessed: a key has {_SHORTEST_KEY} characters or more, of no pattern; {_NEW_KEY}"
        )
    size = general.get("max_request_size_mb")
    if size is not None and (
        isinstance(size, bool) or not isinstance(size, int | float) or not 0 < size < 1e6
    ):
        problems.add(("general_settings", "max_request_size_mb"), "must be a number above 0, in MiB")
    for name, known, what in (
        ("litellm_tools", LITELLM_TOOLS, "tool that LiteLLM makes calls for"),
        ("environment_routes", ENVIRONMENT_ROUTES, "data route that goes by no configured model"),
    ):
        _check_names(name, general.get(name), known, what, problems)
    _check_origins(general.get("cors_origins"), problems)


def _check_names(key: str, names: Any, known: Sequence[str], what: str, problems: _Problems) -> None:
    loc = ("general_settings", key)
    if names is None:
        return
    if not isinstance(names, list):
        problems.add(loc, f"must be a list of {', '.join(known)}")
        return
    for index, name in enumerate(names):
        if name not in known:
            problems.add((*loc, index), f"is no {what}; {did_you_mean(str(name), known)}")


def _is_guessable(key: str) -> bool:
    """Tell whether a key is short, repeats itself, or is made of nothing but words that stand for one in manuals."""
    key = key.strip()
    own = key.removeprefix("sk-")
    return len(key) < _SHORTEST_KEY or len(set(own)) < _FEWEST_KINDS or not _OFTEN_CHOSEN.sub("", own)


def _check_origins(origins: Any, problems: _Problems) -> None:
    loc = ("general_settings", "cors_origins")
    if origins is None:
        return
    if not isinstance(origins, list):
        problems.add(loc, "must be a list of origins, such as [http://localhost:5173]")
        return
    for index, origin in enumerate(origins):
        if wrong := origin_problem(origin):
            problems.add((*loc, index), wrong)


def _misspelt(wanted: str, general: Mapping[Any, Any], file: YamlFile) -> str:
    """Asks whether a key of general_settings was meant, where unknown ones are LiteLLM's; empty for no such key."""
    written = {str(name).lower(): name for name in general if name != wanted}
    for near in difflib.get_close_matches(wanted, written, n=1, cutoff=0.75):
        line = file.line_of(("general_settings", written[near]))
        return f"did you mean {wanted!r} where line {line} has {str(written[near])!r}?"
    return ""


def _check_memory_header(config: ProxyConfig, problems: _Problems) -> None:
    name = "forward_client_headers_to_llm_api"
    forwards = config.general_settings.get(name) in (None, True)
    if not forwards and any(d.through_supermemory for d in config.model_list):
        problems.add(
            ("general_settings", name),
            "must be true or absent: without it x-sm-user-id never reaches Supermemory",
        )


def _check_memory_overrides(config: ProxyConfig, problems: _Problems) -> None:
    for index, deployment in enumerate(config.model_list):
        at: Loc = ("model_list", index, "model_info", MEMORY_KEY)
        try:
            settings = config.memory_of([deployment])
        except ValidationError as error:
            for problem in explain(error, problems.file, ContextRetrieval, at):
                problems.found.append(problem)
        else:
            if deployment.memory_overrides:
                _check_shared(settings, at, config, problems)


def _check_shared(settings: ContextRetrieval, loc: Loc, config: ProxyConfig, problems: _Problems) -> None:
    if settings.enabled and settings.store == "shared" and config.shared_store is None:
        problems.add((*loc, "store"), "needs the section `shared_store` with the `url` of a Redis")


def _check_places(config: ProxyConfig, problems: _Problems) -> None:
    brought = config.litellm_settings.get("custom_provider_map")
    rows = [row for row in brought if isinstance(row, dict)] if isinstance(brought, list) else []
    own = [str(row.get("provider")) for row in rows]
    for index, deployment in enumerate(config.model_list):
        for key, sentence in place_problems(deployment.litellm_params, own):
            problems.add(("model_list", index, "litellm_params", key), sentence)


def _resolve(value: Any, loc: tuple[str | int, ...], problems: _Problems) -> Any:
    if isinstance(value, dict):
        return {key: _resolve(item, (*loc, key), problems) for key, item in value.items()}
    if isinstance(value, list):
        return [_resolve(item, (*loc, index), problems) for index, item in enumerate(value)]
    if isinstance(value, str) and value.startswith(ENVIRON):
        name = value.removeprefix(ENVIRON)
        if name not in os.environ:
            problems.add(loc, f"the environment variable {name} is not set; export it")
        return os.environ.get(name, value)
    return value
