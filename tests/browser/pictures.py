"""Takes README's pictures of a real run: `parity run && python -m tests.browser.pictures parity-report`."""

from __future__ import annotations

import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

from parity.report.html import render
from parity.report.reading import read
from tests.browser.conftest import CHROMIUM
from tests.root import ROOT

PICTURES = ROOT / "docs" / "pictures"
SHOTS = {"report": "", "scenario": "#chat.plain"}


def take(results: Path, folder: Path = PICTURES) -> None:
    """Write a picture of the page's beginning, and one of a scenario."""
    page_file = results / "pictures.html"
    page_file.write_text(render(read(results)), encoding="utf-8")
    folder.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for name, fragment in SHOTS.items():
            page = browser.new_page(viewport={"width": 1100, "height": 640}, color_scheme="light")
            page.goto(f"{page_file.resolve().as_uri()}{fragment}")
            if fragment:
                page.wait_for_selector(".observed")
            page.screenshot(path=folder / f"{name}.png")
        browser.close()
    page_file.unlink()


if __name__ == "__main__":
    take(Path(sys.argv[1]))
