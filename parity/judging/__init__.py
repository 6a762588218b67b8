"""Decides from observations alone: masks, compares, judges by the contract and the ledger."""
