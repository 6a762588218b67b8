"""Puts any gateway between the client and the stub provider, and judges it by the clauses that all gateways owe."""
