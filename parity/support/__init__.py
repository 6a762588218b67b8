"""Helps with files, interrupts, progress and pages; knows nothing of scenarios."""
