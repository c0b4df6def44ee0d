"""Index files, pictures and WebDataset samples: everybody is found, or it is said why not."""

from __future__ import annotations

import io
import tarfile

import pytest

from pgtfast._errors import PgtfastError
from pgtfast.data.listed import tar_members


def tar(path, members: dict[str, bytes]):
    with tarfile.open(path, "w") as file:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            file.addfile(member, io.BytesIO(content))
    return path


# ---- tars
def test_a_whole_tar(tmp_path):
    path = tar(tmp_path / "a.tar", {"./a.jpg": b"x", "b.json": b"y" * 600})
    assert list(tar_members(path)) == [("a.jpg", 512, 1), ("b.json", 1536, 600)]
    assert list(tar_members(tar(tmp_path / "none.tar", {}))) == []
    path.write_bytes(path.read_bytes()[: 2560 + 512])
    assert len(list(tar_members(path))) == 2


@pytest.mark.parametrize("case", ["damaged header", "within a header", "between members", "no end mark"])
def test_a_cut_or_damaged_tar_is_said(case, tmp_path):
    path = tar(tmp_path / "a.tar", {"a.jpg": b"x", "b.jpg": b"y", "c.jpg": b"z"})
    content = bytearray(path.read_bytes())
    if case == "damaged header":
        content[1024 + 150] ^= 0xFF
    path.write_bytes(content[: {"within a header": 1024 + 300, "between members": 2048, "no end mark": 3072}.get(case)])
    with pytest.raises(PgtfastError, match=r"a.tar: ends without an end mark; truncated or damaged\?"):
        list(tar_members(path))
