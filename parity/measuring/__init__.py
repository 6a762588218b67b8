"""Measures what a choice between the architectures needs: a part a file, kept until what it depends on changes."""
