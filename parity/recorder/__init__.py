"""Runs a real LiteLLM to record what it makes of a scenario, and to prove what was recorded."""
