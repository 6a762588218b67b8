"""The mistakes that `python -m tests.mutations` puts into the proxies fit the proxies as they are."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.mutations.groups import MUTATIONS, Mutation
from tests.test_promises import COUNTS, ROOT


def test_each_group_has_a_mistake() -> None:
    """There is one mistake for each of the seven groups of promises."""
    assert [mutation.group for mutation in MUTATIONS] == [group for group in COUNTS if group != "8 handler"]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=[m.group for m in MUTATIONS])
def test_it_can_be_put_in(mutation: Mutation, tmp_path: Path) -> None:
    """Each mistake changes the files that it names, and leaves Python in them."""
    for name in mutation.edits:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    mutation.apply(tmp_path)
    for name in mutation.edits:
        assert (tmp_path / name).read_bytes() != (ROOT / name).read_bytes()


def test_a_text_that_is_gone(tmp_path: Path) -> None:
    """A mistake whose place isn't found any more says so, and changes nothing."""
    (tmp_path / "a.py").write_text("x = 1\n")
    (tmp_path / "b.py").write_text("y = 1\n")
    mutation = Mutation("1 routing", "none", {"a.py": (("x = 1", "x = 2"),), "b.py": (("z = 1", "z = 2"),)})
    with pytest.raises(LookupError, match=r"b.py has no 'z = 1' any more; mend tests/mutations/groups.py"):
        mutation.apply(tmp_path)
    assert (tmp_path / "a.py").read_text() == "x = 1\n"
