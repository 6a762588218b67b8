"""Brings the plugin to every pytest where the extra `parity` is installed.

Where it isn't, nothing is registered: a proxy installed beside somebody's tests must not break them.
"""

from __future__ import annotations

from parity.entry import missing

if not missing():
    pytest_plugins = ("parity.plugin",)
