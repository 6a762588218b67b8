"""Stands in for the LLM provider and for the memory store, on real sockets."""
