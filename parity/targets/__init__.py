"""Plays scenarios on what is compared: both proxies, mocked or live, and any URL."""
