from __future__ import annotations

from pathlib import Path

import pytest

from proxies.interceptor.project import default_user_id, project_key


def test_one_directory_has_one_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Relative, through a symlink, with a slash at the end, as text or as a path: the same key."""
    shop = tmp_path / "shop"
    shop.mkdir()
    (tmp_path / "link").symlink_to(shop)
    monkeypatch.chdir(shop)
    spellings: list[str | Path] = [
        shop,
        str(shop),
        f"{shop}/",
        ".",
        "../shop",
        f"{shop}/../shop",
        tmp_path / "link",
    ]
    assert {project_key(spelling) for spelling in spellings} == {str(shop)}


def test_an_empty_path_is_no_project() -> None:
    """It would silently be the working directory."""
    with pytest.raises(ValueError, match="empty"):
        project_key("")


@pytest.mark.parametrize(
    ("name", "starts"),
    [("shop", "shop-"), ("my shop.v2", "my-shop-v2-"), ("Жук", "project-"), ("x" * 90, "x" * 48 + "-")],
)
def test_a_user_id_can_travel_as_a_header(name: str, starts: str) -> None:
    """Whatever a directory is called, its id is of letters, digits, dashes and underscores, and short."""
    user_id = default_user_id(f"/src/{name}")
    assert user_id.startswith(starts)
    assert len(user_id) == len(starts) + 8
    assert user_id.isascii()
    assert user_id.replace("-", "").replace("_", "").isalnum()


def test_namesakes_do_not_share_memories(tmp_path: Path) -> None:
    """Two directories of one name are two users, and each is the same user every time."""
    assert default_user_id("/a/backend") != default_user_id("/b/backend")
    assert default_user_id("/a/backend") == default_user_id("/a/backend/")
    assert default_user_id("/").startswith("project-")
