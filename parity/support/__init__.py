"""Helps with files, interrupts and progress; knows nothing of scenarios."""
