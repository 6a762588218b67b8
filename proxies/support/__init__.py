"""Helps both packages: redaction, YAML, JSON text, server-sent events; knows nothing of a proxy."""
