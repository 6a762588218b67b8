"""Weighs what was measured of the two architectures, and says which one, and what would change that."""
