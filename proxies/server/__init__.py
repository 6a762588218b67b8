"""Serves applications on sockets: uvicorn, HTTP/1.1 limits, a clean stop."""
