"""Writes files whole or not at all, and says where those are that are kept from run to run."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
from collections.abc import Iterable
from pathlib import Path

from platformdirs import user_cache_path


def cache_folder() -> Path:
    """Return the folder of recordings of scenarios outside the package; `PARITY_CACHE` overrides the place."""
    return Path(
        os.environ.get("PARITY_CACHE") or user_cache_path("proxy-parity", appauthor=False) / "recordings"
    )


def write_text_atomic(path: Path, text: str) -> None:
    """Write UTF-8 next to `path`, then rename: readers see the old file or the new one. Makes its folders.

    Half a surrogate pair, which JSON may hold but UTF-8 can't, is written as its escape.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        with draft.open("x", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
            file.write(text)
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def files_digest(files: Iterable[Path], root: Path) -> str:
    """Return a short hash of what these files hold and of their places below `root`, whatever their order."""
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(path.relative_to(root).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def check_writable(folder: Path) -> None:
    """Raise the `OSError` that writing into `folder` would end in, as far as that can be known before."""
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    if not there.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(there))
    if not os.access(there, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(there))
