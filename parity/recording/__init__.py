"""Holds what LiteLLM said of a scenario, for both architectures, and replays it."""
