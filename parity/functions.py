"""LiteLLM's function for each route, as the sdk proxy calls it: what is doubled, tapped and probed.

Read from the proxies' own table, so that a new row there is played without a word here.
"""

from __future__ import annotations

from proxies.front.kinds import KINDS

SDK_FUNCTIONS = {kind.route: f"litellm.{kind.function}" for kind in KINDS.values()}
"""Where the function for a route is looked up, and so patched."""
