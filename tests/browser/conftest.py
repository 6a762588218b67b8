"""A headless Chromium that opens pages from disk, and writes down what they try to load and what they complain of."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = next(
    (found for name in ("chromium", "google-chrome", "chrome") if (found := shutil.which(name))), None
)


@pytest.fixture(scope="module")  # while it runs, no other test can start an event loop
def browser() -> Iterator[Any]:
    """Starts Chromium once a file; where there is none, or no playwright, says what to do."""
    if CHROMIUM is None and os.environ.get("PARITY_BROWSER"):
        pytest.fail("no chromium is installed here, and `tox -e browser` needs one")
    if CHROMIUM is None:
        pytest.skip(
            "NO BROWSER: nothing of the page was tried in one; install chromium and run `tox -e browser`"
        )
    api = pytest.importorskip("playwright.sync_api", reason="NO PLAYWRIGHT: `tox -e browser` brings it")
    with api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Opens a text as a page from disk. At the end, nothing may have left the file and nothing been complained of."""
    contexts, complaints, asked = [], [], []

    def open_(text: str, fragment: str = "", page: Any = None, **options: Any) -> Any:
        file = tmp_path / "report.html"
        file.write_text(text, encoding="utf-8")
        if page is not None:
            page.goto("about:blank")
            page.goto(f"{file.as_uri()}{fragment}")
            return page
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(dialog.message))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{file.as_uri()}{fragment}")
        return page

    yield open_
    for context in contexts:
        context.close()
    assert complaints == []
    assert {url.partition("#")[0] for url in asked} <= {
        (tmp_path / "report.html").as_uri(),
        "data:,",
        "about:blank",
    }
