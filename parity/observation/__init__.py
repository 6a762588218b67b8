"""Holds what was seen of a scenario at one target, and reads and writes it as a file."""
