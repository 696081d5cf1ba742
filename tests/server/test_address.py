from __future__ import annotations

from pathlib import Path

import pytest

from analystd.errors import DaemonLostError
from analystd.server.address import private_folder, version_order


def test_versions_are_in_the_order_of_their_release() -> None:
    ordered = [
        "0.1.9",
        "0.2.dev1",
        "0.2.0.dev3",
        "0.2.0a1",
        "0.2.0b2",
        "0.2.0rc1",
        "0.2.0rc2",
        "0.2.0",
        "0.2.1",
        "0.10.0",
        "1.0",
    ]
    assert sorted(ordered, key=version_order) == ordered
    assert len({version_order(version) for version in ordered}) == len(ordered)
    assert version_order("0.2") == version_order("0.2.0") == version_order("0.2.0+g1a2c")


def test_a_link_to_a_folder_of_the_users_own_is_a_private_folder(tmp_path: Path) -> None:
    disk, link = tmp_path / "disk", tmp_path / "link"
    disk.mkdir(mode=0o755)
    link.symlink_to(disk)
    private_folder(link)
    assert disk.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("target", ["file", "nothing"])
def test_what_is_no_folder_is_told(tmp_path: Path, target: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / target)
    with pytest.raises(DaemonLostError, match="link is no folder"):
        private_folder(tmp_path / "link")
