"""Measures proxies side by side: real servers on loopback, a load from another process, ratios within one run."""
