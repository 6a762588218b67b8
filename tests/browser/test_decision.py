"""What the decision's own page looks like in a browser: `tox -e browser`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from parity.decision import fragment
from parity.decision.deciding import decide
from tests.parity.decision.test_fragment import WEIGHTS, parts

pytestmark = pytest.mark.browser
Open = Callable[..., Any]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_everybody_can_read_it(opened: Open, scheme: str, width: int) -> None:
    """axe finds no violation, nothing is wider than the screen, and the whole page is as light or dark as is wished."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="`tox -e browser` brings axe")
    options = {"color_scheme": scheme, "viewport": {"width": width, "height": 900}, "bypass_csp": True}
    page = opened(fragment.page(decide(parts(), WEIGHTS, "w.yaml"), parts()), **options)
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    found = axe.Axe().run(page).response["violations"]
    assert [(one["id"], [node["html"][:120] for node in one["nodes"][:3]]) for one in found] == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    words = "getComputedStyle(document.body).color"
    assert page.evaluate(words) == ("rgb(0, 0, 0)" if scheme == "light" else "rgb(255, 255, 255)")
    assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "light dark"
