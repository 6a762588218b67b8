"""A project is a directory. However its path is written, it has one key and one default user id."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

USER_VARIABLE = "INTERCEPTOR_USER_ID"

_LONGEST_NAME = 48
_NOT_IN_AN_ID = re.compile(r"[^A-Za-z0-9_-]+")


def project_key(project_path: str | os.PathLike[str]) -> str:
    """The absolute path without symlinks, `..` and trailing slashes. The directory need not exist.

    Raises `ValueError` for an empty path, which would silently be the working directory.
    """
    if not os.fspath(project_path):
        raise ValueError("the project path is empty")
    return str(Path(project_path).resolve())


def default_user_id(project_path: str | os.PathLike[str]) -> str:
    """The directory's name and 8 hex digits of its path's SHA-256: `shop-1f0c9a52`.

    The name alone would let `client-a/backend` and `client-b/backend` read each other's memories.
    Only letters, digits, `-` and `_` are used, as stores of memories and headers allow them.
    """
    key = project_key(project_path)
    name = _NOT_IN_AN_ID.sub("-", Path(key).name).strip("-")[:_LONGEST_NAME] or "project"
    return f"{name}-{hashlib.sha256(os.fsencode(key)).hexdigest()[:8]}"
