"""Starts the command `parity`, or says what is missing where only the proxies are installed."""

from __future__ import annotations

import sys
from importlib.util import find_spec

NEEDED = ("asgi_lifespan", "httpx2", "httpx_sse", "jinja2", "packaging", "pytest", "pytest_asyncio", "xdist")
"""The modules that the extra `parity` brings."""


def missing() -> list[str]:
    """List the modules of the extra `parity` that aren't installed; nothing is imported to find out."""
    return [name for name in NEEDED if find_spec(name) is None]


def main() -> None:
    """Run `parity`; exit code 2 and the command that helps where the extra `parity` isn't installed."""
    if lacking := missing():
        print(
            f"parity needs {', '.join(lacking)}: pip install 'proxy-parity[parity]'",
            file=sys.stderr,
        )
        sys.exit(2)
    from parity.cli import main as run

    run()


if __name__ == "__main__":
    main()
