"""The folders here are projects of other people: their tests run in a pytest of their own, from `test_projects.py`."""

collect_ignore = ["project", "mistaken"]
