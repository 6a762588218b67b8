"""What is counted in the source."""

from __future__ import annotations

from pathlib import Path

from parity.measuring.source import called, code_lines, measure, surface

TEXT = '''
"""A docstring."""

import litellm as other  # a comment

PROGRAM = """
from litellm import run_server
run_server()
"""
PROSE = "import litellm first, they say ("


def f():
    """Another."""
    import litellm

    # a comment
    return litellm.acompletion, litellm._private.x


def g(litellm):
    from litellm.llms.http import Handler
    from litellm.types.utils import Kind

    return litellm.get, other.exceptions.Timeout, Handler.close


def h():
    named = _litellm()
    return named.telemetry, _litellm().token_counter
'''


def test_names_are_those_of_litellm_alone() -> None:
    """Aliases, imports in functions and programs in text count; a variable that is called so doesn't."""
    found = surface([TEXT])
    assert found.public == [
        "litellm.acompletion",
        "litellm.exceptions.Timeout",
        "litellm.run_server",
        "litellm.telemetry",
        "litellm.token_counter",
        "litellm.types.utils.Kind",
    ]
    assert found.internal == ["litellm._private.x", "litellm.llms.http.Handler.close"]


def test_words_of_litellms_count() -> None:
    """Names of headers, variables, options and settings, where they are the whole text."""
    found = surface(
        ['A = ["LITELLM_LOG", "x-litellm-model-id", "--num_workers", "litellm_params", "a LITELLM_LOG"]']
    )
    assert found.words == ["--num_workers", "LITELLM_LOG", "litellm_params", "x-litellm-model-id"]


def test_functions_that_are_looked_up_by_name_count() -> None:
    """The table of dialects says which of LiteLLM's functions are called."""
    assert called(
        'KINDS = [Kind("chat", "acompletion", X), Kind("m", "messages.acreate"), Other("a", "b")]'
    ) == {
        "litellm.acompletion",
        "litellm.messages.acreate",
    }


def test_lines_are_lines_of_code() -> None:
    """No blank ones, no comments, no docstrings."""
    assert (
        code_lines(
            '"""D."""\n\nx = 1  # c\n# c\n\n\ndef f():\n    """D.\n\n    More.\n    """\n    return 1\n'
        )
        == 3
    )


def test_the_project_is_counted(tmp_path: Path) -> None:
    """Both architectures have code of their own, and only sdk calls LiteLLM's functions."""
    found = measure()
    assert min(found.lines.values()) > 300
    assert "litellm.acompletion" in found.names["sdk"].public
    assert "litellm.acompletion" not in found.names["binary"].public
    assert found.names["binary"].internal == []
