"""Reads scenarios: what the provider does, what the client asks, and what must come out."""
