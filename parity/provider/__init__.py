"""Stands in for the LLM provider and for the memory service, on real sockets."""
