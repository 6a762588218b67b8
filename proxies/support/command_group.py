"""How a command ends that loses its reader or is interrupted: as other Unix tools do."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from io import StringIO
from typing import IO, Any

import click

from proxies.support.terminal import say

INTERRUPTED = 128 + signal.SIGINT
READER_GONE = 128 + 13
"""13 is SIGPIPE, which Windows has no name for."""


@contextlib.contextmanager
def _ending_plainly() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        raise _interrupted() from None
    except click.Abort as abort:
        # Click's questions turn Ctrl+C into this; so they do with the end of the input, which isn't meant.
        if isinstance(abort.__context__, KeyboardInterrupt):
            raise _interrupted() from None
        raise
    except click.exceptions.Exit:
        raise
    except click.ClickException as error:
        raise _Shown(error) from None
    except BrokenPipeError:
        raise _reader_gone() from None
    except SystemExit as end:
        # Rich's consoles exit by themselves, with 1, which has other meanings.
        if isinstance(end.__context__, BrokenPipeError):
            raise _reader_gone() from None
        raise


class _Shown(click.ClickException):
    """Shows another error as that one would, and escapes what strangers have written into it."""

    def __init__(self, error: click.ClickException) -> None:
        super().__init__(error.message)
        self.exit_code = error.exit_code  # type: ignore[misc]  # click reads it from the instance
        self._error = error

    def show(self, file: IO[str] | None = None) -> None:
        text = StringIO()
        self._error.show(text)
        say(text.getvalue().removesuffix("\n"), err=True, file=file)


class Group(click.Group):
    """Ends its commands with one line and exit code 130 at Ctrl+C, silently with 141 when their output is closed."""

    @_ending_plainly()
    def make_context(self, *arguments: Any, **extra: Any) -> click.Context:  # prints its own --help
        return super().make_context(*arguments, **extra)

    @_ending_plainly()
    def invoke(self, ctx: click.Context) -> Any:
        return super().invoke(ctx)


def _interrupted() -> click.exceptions.Exit:
    # A terminal has put ^C where the line would start.
    say("\nInterrupted." if sys.stderr.isatty() else "Interrupted.", err=True)
    return click.exceptions.Exit(INTERRUPTED)


def _reader_gone() -> click.exceptions.Exit:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            # The interpreter flushes once more when it ends, and would complain.
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, stream.fileno())
            os.close(null)
    return click.exceptions.Exit(READER_GONE)
