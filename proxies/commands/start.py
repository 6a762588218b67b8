"""The whole binary stack in one command: LiteLLM as a child, the proxy and its interceptors in this process.

    IDE ──> interceptor of its project ──> proxy ──> LiteLLM process ──> provider

One process, so that nothing is left however it ends: the LiteLLM process goes when its parent has gone.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import click

from proxies.binary.app import create_app
from proxies.config.models import ProxyConfig
from proxies.interceptor import app as interceptor
from proxies.interceptor.ports import PORT_VARIABLE, PortRegistry, PortRegistryError
from proxies.interceptor.project import USER_VARIABLE, default_user_id, project_key
from proxies.server import serving, workers
from proxies.server.serving import Service, SetUpError
from proxies.shared import Count
from proxies.support.console import SafeConsole
from proxies.support.terminal import say

_LOOPBACK = "127.0.0.1"
_ADVICE = "stop the program that uses it, or `memory-proxy ports remove` the project, and it gets a new one"
_REACHED_BY = {"http://0.0.0.0": "http://127.0.0.1", "http://[::]": "http://[::1]"}


def start(
    config: ProxyConfig, host: str, port: int, projects: Sequence[Path], grace: float, count: int = 1
) -> None:
    """Serves until a signal, with `count` workers; for each directory of `projects` an interceptor on loopback.

    Once all of them answer, prints a line for each on stdout: its name and its URL, for an interceptor then its user
    id and its project. Raises as `proxies.server.serving.serve` does.
    """
    with contextlib.ExitStack() as held:
        shared = held.enter_context(workers.shared_by(count))
        sock = held.enter_context(serving.bind(host, port))
        url = serving.url_of(sock)
        services = [
            Service(
                "binary",
                lambda: create_app(config, shared=shared),
                sock,
                config.limits,
                connections=shared.count(),
            )
        ]
        lines = [f"proxy        {url}"]
        wanted = list(dict.fromkeys(map(project_key, projects)))
        _refuse_one_for_all(wanted)
        for project in wanted:
            user_id = os.environ.get(USER_VARIABLE) or default_user_id(project)
            intercepting = held.enter_context(
                _interceptor(config, project, user_id, _reachable(url), shared.count())
            )
            services.append(intercepting)
            where = click.format_filename(project)
            lines.append(f"interceptor  {intercepting.url}  {user_id}  {where}")
        done: list[Callable[[], None]] = []

        def show() -> None:
            done.append(held.enter_context(_progress("starting LiteLLM, which takes some seconds")))

        def announce() -> None:
            done.pop()()
            say("\n".join(lines))
            sys.stdout.flush()
            if sys.stderr.isatty():
                say("Ctrl+C stops all of them.", err=True)

        workers.serve(services, shared, grace=grace, announce=announce, forked=show)


def _refuse_one_for_all(projects: Sequence[str]) -> None:
    """Variables that are about one project, while there are several."""
    for name, what in ((PORT_VARIABLE, "port"), (USER_VARIABLE, "user")):
        value = os.environ.get(name, "").strip()
        if len(projects) > 1 and value and (name, value) != (PORT_VARIABLE, "0"):
            raise SetUpError(
                f"{name} is one {what}, but there are {len(projects)} projects: unset it, and each has its own"
            )


@contextlib.contextmanager
def _interceptor(
    config: ProxyConfig, project: str, user_id: str, upstream: str, connections: Count
) -> Iterator[Service]:
    """The project's, on its port, which is taken in the registry meanwhile."""
    header = config.user_id_mappings.custom_header
    try:
        registry = PortRegistry()
        port = registry.listening_port(project)
        if registry.is_served(port):
            raise SetUpError(f"an interceptor listens on port {port} already, which is that of {project}")
        with serving.bind(_LOOPBACK, port, _ADVICE) as sock, registry.serving(sock.getsockname()[1]):
            yield Service(
                "interceptor",
                lambda: interceptor.create_app(upstream, user_id, user_header=header),
                sock,
                config.limits,
                date_header=False,  # the proxy's own
                connections=connections,
            )
    except PortRegistryError as error:
        raise SetUpError(str(error)) from None


def _reachable(url: str) -> str:
    """Where to call who listens at `url`: on all addresses means on loopback, too."""
    for everywhere, here in _REACHED_BY.items():
        if url.startswith(f"{everywhere}:"):
            return url.replace(everywhere, here, 1)
    return url


@contextlib.contextmanager
def _progress(text: str) -> Iterator[Callable[[], None]]:
    """On a terminal something that moves, until the given function is called, or all is over."""
    console = SafeConsole(stderr=True)
    if not console.is_terminal:
        yield lambda: None
        return
    with console.status(text) as status:
        yield status.stop
