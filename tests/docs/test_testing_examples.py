"""What docs/testing.md shows is run as it stands there, with nothing but the installed plugin."""

from __future__ import annotations

import importlib.util
import warnings
from pathlib import Path

import pytest

import parity.kit
from parity.catalogue.loading import Catalogue
from parity.kit import fixtures
from tests.docs.blocks import blocks, table
from tests.root import ROOT

pytest_plugins = ["pytester"]

PAGE = ROOT / "docs" / "testing.md"
LITELLM = importlib.util.find_spec("litellm") is not None
if LITELLM:  # here, or the inner run would meet the warnings of its import
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import parity.recording.sdk_objects


def test_every_python_block(pytester: pytest.Pytester) -> None:
    """Each Python block is a test file whose tests pass, those of the sdk proxy where litellm is installed."""
    shown = [block for page in (PAGE, ROOT / "tests" / "README.md") for block in blocks(page, "python")]
    assert len(shown) >= 5
    for block in shown:
        pytester.makepyfile(**{f"test_from_line_{block.line}": block.text})
    options = ("-p", "no:randomly", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:cov")
    outcomes = pytester.inline_run(*options, "-o", "asyncio_default_fixture_loop_scope=function")
    passed, skipped, failed = outcomes.listoutcomes()
    assert not failed
    assert {report.nodeid.partition("::")[0] for report in (*passed, *skipped)} == {
        f"test_from_line_{block.line}.py" for block in shown
    }
    if LITELLM:
        assert not skipped
    else:
        assert passed
        assert all("litellm" in str(report.longrepr) for report in skipped)


def test_the_scenario(tmp_path: Path) -> None:
    """The scenario is one that the loader takes."""
    (block,) = blocks(PAGE, "yaml")
    file = tmp_path / "mine.yaml"
    file.write_text(block.text, encoding="utf-8")
    assert [scenario.id for scenario in Catalogue.load([file])] == ["mine.greeting"]


def test_every_fixture_is_in_the_table() -> None:
    """The table of fixtures names those that the plugin has, and no others."""
    named = {name.strip() for row in table(PAGE, "fixture") for name in row[0].split(",")}
    there = {
        name
        for name, value in vars(fixtures).items()
        if type(value).__name__ == "FixtureFunctionDefinition" and name != "parity_kit"
    }
    assert named == there


def test_every_template_is_in_the_table() -> None:
    """The table of templates names what the kit exports for it."""
    named = {name.strip() for row in table(PAGE, "template") for name in row[0].split(",")}
    assert named <= set(parity.kit.__all__)
    assert named == {name for name in parity.kit.__all__ if name.startswith("mock_")} | {"MockHTTPResponse"}
