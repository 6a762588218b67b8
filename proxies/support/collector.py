"""Keeps Python's garbage collector from looking through everything that was loaded, which takes a third of a second."""

from __future__ import annotations

import gc


def settle() -> None:
    """Take what this process has loaded by now out of the collector's sight; it is there to stay.

    A stream of many pieces makes the collector look at all that is left, and nobody is served meanwhile.
    """
    gc.collect()
    gc.freeze()
