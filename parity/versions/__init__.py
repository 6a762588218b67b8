"""Plays scenarios on other versions of LiteLLM, each in an environment of its own, and tells what changed."""
