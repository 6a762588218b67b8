"""Holds the commands of `parity`, one module each."""
