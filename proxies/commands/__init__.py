"""Holds what the commands of `memory-proxy` do, one module each."""
