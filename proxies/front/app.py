"""The application both architectures share; a backend is all that differs."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from fastapi import FastAPI

from proxies.backend import Backend
from proxies.config.models import ProxyConfig
from proxies.front.cors import Cors
from proxies.front.failures import register_exception_handlers
from proxies.front.observing.metrics import Metrics
from proxies.front.observing.middleware import Observed
from proxies.front.observing.tracing import Tracing
from proxies.front.places import Places
from proxies.front.routes import routes
from proxies.front.services import Services
from proxies.front.target import Targets
from proxies.memory.context import Memory
from proxies.memory.sharing import DefaultUser
from proxies.sessions import MemorySessionManager
from proxies.shared import Shared
from proxies.support.fairness import Fair


def build_app(
    config: ProxyConfig,
    backend: Backend,
    tracing: Tracing | None = None,
    memory: Memory | None = None,
    shared: Shared | None = None,
) -> FastAPI:
    """An ASGI application; its lifespan starts the backend and closes it, also when the start fails.

    With `shared` it is one of several workers, whose limits, metrics and cookies are those of all.
    """

    shared = (shared or Shared()).through(config.shared_store)
    memories = memory or Memory(config, MemorySessionManager(cookies=shared.cookies))
    metrics = Metrics(backend.sessions, backend.restarts, shared)
    places = Places(config.limits.max_concurrent_requests, shared.requests)
    traces = tracing or Tracing()
    default_user = DefaultUser(config)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        try:
            traces.start()
            default_user.warn_at_start()
            await memories.warn_at_start()
            await backend.start()
            with metrics.kept_current():
                yield
        finally:
            try:
                await memories.aclose()
            finally:
                try:
                    await backend.aclose()
                finally:
                    await traces.aclose()

    app = FastAPI(
        title="memory-proxy",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        lifespan=lifespan,
        # FastAPI's own spans and records would come beside ours, and nothing in them is redacted.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    app.router.redirect_slashes = False
    app.state.services = Services(config, backend, memories, metrics, places, default_user)
    app.router.routes.extend(routes())
    register_exception_handlers(app)
    app.add_middleware(Fair)
    app.add_middleware(Targets)
    if config.cors_origins:
        app.add_middleware(Cors, origins=config.cors_origins)
    app.add_middleware(Observed, metrics=metrics, tracing=traces)  # the last one added is the outermost
    return app
