"""`memory-proxy`: serves one of the two architectures, or says what it would serve."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from proxies.binary.process import LiteLLMProcessError, find_command
from proxies.config.limits import Limits
from proxies.config.loading import (
    CONFIG_VARIABLE,
    LITELLM_KEY_VARIABLE,
    LITELLM_URL_VARIABLE,
    ConfigError,
    litellm_key,
    load_config,
)
from proxies.config.models import ProxyConfig
from proxies.front.observing import logs
from proxies.interceptor.cli import interceptor, ports
from proxies.sdk.config import sdk_problems
from proxies.server import serving, workers
from proxies.server.options import grace_option, workers_option
from proxies.server.serving import SetUpError
from proxies.shared import Shared
from proxies.support.command_group import Group
from proxies.support.redact import redact_text
from proxies.support.terminal import say

if TYPE_CHECKING:
    from starlette.types import ASGIApp

_config = click.option(
    "--config",
    "config_path",
    metavar="FILE",
    required=True,
    envvar=CONFIG_VARIABLE,
    show_envvar=True,
    type=click.Path(path_type=Path),
    help="LiteLLM's own config.yaml, plus user_id_mappings, context_retrieval and limits.",
)
_host = click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
_port = click.option(
    "--port",
    default=8080,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Port to listen on; 0 takes a free one and prints it.",
)
_log_level = click.option(
    "--log-level",
    default=None,
    show_default="info with --log-format json, else warning",
    type=click.Choice(["debug", "info", "warning", "error"]),
    help="What goes to stderr; from info on a line for each request, debug includes LiteLLM's own output. "
    "Keys are masked.",
)
_log_format = click.option(
    "--log-format",
    default="text",
    show_default=True,
    type=click.Choice(["text", "json"]),
    help="How it is written: for people, or one JSON object a line.",
)


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="proxy-parity")
def main() -> None:
    """A memory proxy for LLM providers, in two architectures that behave the same.

    \b
      binary   forwards to an external LiteLLM process (started for you, or your own)
      sdk      calls the litellm library inside the proxy

    Both read LiteLLM's own config.yaml and need a master key in it, which clients send as their API key.

    \b
    Examples:
      memory-proxy start --config config.yaml --interceptor ~/src/shop
      memory-proxy sdk --config config.yaml --port 9000
      memory-proxy check --config config.yaml
      curl http://127.0.0.1:8080/v1/chat/completions \\
        -H "Authorization: Bearer $MASTER_KEY" -H "Content-Type: application/json" \\
        -d '{"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}]}'
    """


@main.command()
@_config
@_host
@_port
@click.option(
    "--litellm-url",
    metavar="URL",
    envvar=LITELLM_URL_VARIABLE,
    show_envvar=True,
    help="A LiteLLM that runs already. Without it one is started, watched and stopped.",
)
@grace_option
@workers_option
@_log_level
@_log_format
def binary(
    config_path: Path,
    host: str,
    port: int,
    litellm_url: str | None,
    grace: float,
    workers: int,
    log_level: str | None,
    log_format: logs.Format,
) -> None:
    """Serve the architecture that forwards to a LiteLLM process.

    Without --litellm-url it starts LiteLLM itself, on a free port and with a key of its own, and serves
    once that is warm (some seconds). With --litellm-url the key for it is the environment variable
    MEMORY_PROXY_LITELLM_KEY, else the config's master key.

    \b
    Examples:
      memory-proxy binary --config config.yaml
      memory-proxy binary --config config.yaml --litellm-url http://127.0.0.1:4000
    """
    _log(log_level, log_format)
    config = _load(config_path)
    key = None
    if litellm_url:
        litellm_url = _checked_url(litellm_url)
        key = litellm_key(config)
    else:
        _need_litellm()
    from proxies.binary import create_app
    from proxies.binary.app import warn_if_silent

    _serve(
        "binary",
        lambda shared: create_app(config, litellm_url=litellm_url, litellm_key=key, shared=shared),
        host,
        port,
        config.limits,
        grace,
        workers,
        (lambda: warn_if_silent(config, litellm_url, key)) if litellm_url else None,
    )


@main.command()
@_config
@_host
@_port
@grace_option
@workers_option
@_log_level
@_log_format
def sdk(
    config_path: Path,
    host: str,
    port: int,
    grace: float,
    workers: int,
    log_level: str | None,
    log_format: logs.Format,
) -> None:
    """Serve the architecture that calls the litellm library itself.

    It refuses to start when the config has a key that only LiteLLM's own server obeys.

    \b
    Examples:
      memory-proxy sdk --config config.yaml --port 9000
      memory-proxy sdk --config config.yaml --log-format json 2>> proxy.log
    """
    _log(log_level, log_format)
    config = _load(config_path)
    problems = sdk_problems(config)
    if problems:
        raise SetUpError("\n".join(problems))
    if importlib.util.find_spec("litellm") is None:
        raise SetUpError("litellm is not installed: pip install 'proxy-parity[sdk]'")
    from proxies.sdk import create_app

    _serve("sdk", lambda shared: create_app(config, shared=shared), host, port, config.limits, grace, workers)


@main.command()
@_config
@_host
@_port
@click.option(
    "--interceptor",
    "projects",
    metavar="[DIR]",
    multiple=True,
    is_flag=False,
    flag_value=".",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Also the interceptor of this project, on the project's own port; the working directory if no DIR is "
    "given (repeatable).",
)
@grace_option
@workers_option
@_log_level
@_log_format
def start(
    config_path: Path,
    host: str,
    port: int,
    projects: tuple[Path, ...],
    grace: float,
    workers: int,
    log_level: str | None,
    log_format: logs.Format,
) -> None:
    """Serve the whole binary stack: LiteLLM, the proxy, and interceptors if asked.

    A LiteLLM process that dies is started again; meanwhile requests get 503 with retry-after, and
    /health/readiness says why. Once everything answers, stdout has a line for each: its name and its URL.

    SIGTERM or Ctrl+C stops everything: no new connections, answers under way may end within --grace, what is
    left is told so and cut. Nothing outlives this process, however it ends.

    \b
    Exit code 0: stopped by a signal. 1: something crashed. 2: it could not be set up.

    \b
    Examples:
      memory-proxy start --config config.yaml
      memory-proxy start --config config.yaml --interceptor ~/src/shop --interceptor ~/src/blog
      memory-proxy start --config config.yaml --port 0 | awk '$1 == "proxy" {print $2}'
    """
    _log(log_level, log_format)
    config = _load(config_path)
    _need_litellm()
    from proxies.commands.start import start

    start(config, host, port, projects, grace, workers)


@main.command()
@_config
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout, for scripts.")
@click.option(
    "--client",
    "clients",
    multiple=True,
    metavar="HEADER",
    help="Also tell for whom a client counts that sends this header, 'User-Agent: mine/1.0' (repeatable).",
)
def check(config_path: Path, as_json: bool, clients: tuple[str, ...]) -> None:
    """Say what a config would do, without starting anything.

    Models with their deployments and fallbacks, routes, memory, who counts as which user, limits, environment
    variables, and what the sdk architecture could not honour. Keys are never printed, only whether they are there.

    \b
    Exit code 0: both architectures can serve it. 1: one of them can't. 2: the config is not valid.

    \b
    Examples:
      memory-proxy check --config config.yaml
      memory-proxy check --config config.yaml --client "User-Agent: my-ide/2.1"
      memory-proxy check --config config.yaml --json | jq .serves.sdk
    """
    from proxies.commands.check import checked, headers_of
    from proxies.commands.check_report import show

    try:
        found = checked(load_config(config_path), [headers_of(client) for client in clients])
    except ConfigError as error:
        if as_json:
            problems = [redact_text(problem) for problem in error.problems]
            say(json.dumps({"config": str(config_path), "problems": problems}, indent=2))
            sys.exit(2)
        raise SetUpError(str(error)) from None
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--client") from None
    if as_json:
        say(json.dumps(found, indent=2))
    else:
        show(found)
    sys.exit(1 if any(found["serves"].values()) else 0)


main.add_command(interceptor)
main.add_command(ports)


def _load(path: Path) -> ProxyConfig:
    try:
        return load_config(path)
    except ConfigError as error:
        raise SetUpError(str(error)) from None


def _need_litellm() -> None:
    try:
        find_command()
    except LiteLLMProcessError as error:
        raise SetUpError(str(error)) from None


def _checked_url(text: str) -> str:
    try:
        url = urlsplit(text)
        usable = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise SetUpError("--litellm-url: give scheme and host, such as http://127.0.0.1:4000")
    if url.username is not None:
        raise SetUpError(f"--litellm-url: put no key in it; it goes into {LITELLM_KEY_VARIABLE}")
    return text.rstrip("/")


def _log(level: str | None, format: logs.Format = "text") -> None:
    logs.configure(level or ("info" if format == "json" else "warning"), format)


def _serve(
    name: str,
    create_app: Callable[[Shared], ASGIApp],
    host: str,
    port: int,
    limits: Limits,
    grace: float,
    count: int,
    once_up: Callable[[], Coroutine[None, None, None]] | None = None,
) -> None:
    sock = serving.bind(host, port)
    line = f"memory-proxy {name}: listening on {serving.url_of(sock)}"
    if count > 1:
        line += f" with {count} workers"
    tasks = []  # the event loop itself would let go of them

    def in_first() -> None:
        if once_up is not None:
            tasks.append(asyncio.get_running_loop().create_task(once_up()))

    with workers.shared_by(count) as shared:
        service = serving.Service(name, lambda: create_app(shared), sock, limits, connections=shared.count())
        workers.serve([service], shared, grace=grace, announce=lambda: logs.announce(line), in_first=in_first)
