"""Notes what is known of a request; makes log lines, metrics and spans of it."""
