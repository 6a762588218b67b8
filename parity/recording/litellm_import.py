"""Imports litellm so that it neither asks the network for a price list nor prints advice on every error."""

from __future__ import annotations

from parity.support.interrupts import held_back
from proxies.support.garbage import kept
from proxies.support.litellm_environment import stay_local

stay_local()

with held_back(), kept():  # litellm's bare excepts would swallow a Ctrl-C
    import litellm  # the environment above must come first

litellm.suppress_debug_info = True

__all__ = ["litellm"]
