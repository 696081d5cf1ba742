from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from analystd.config.folders import state_folder
from analystd.discovery.dial import Introduction, connect
from analystd.discovery.registry import DaemonInfo, daemon_address, live_cards, private_folder, version_order
from analystd.util.locks import take_lock
from analystd.wire.errors import DaemonLostError


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


@pytest.mark.parametrize("state", ["/proc/none", "/dev/null"])
def test_where_no_state_can_be_kept_the_folder_and_the_setting_are_named(
    state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", state)
    with pytest.raises(DaemonLostError, match=state) as caught:
        private_folder(state_folder())
    assert "XDG_STATE_HOME" in str(caught.value.hint)


@pytest.mark.parametrize("mode", [0o666, 0o602, 0o620])
def test_a_card_that_others_can_write_is_not_believed(mode: int) -> None:
    address = daemon_address()
    private_folder(address.folder)
    with take_lock(address.lock, 0) or pytest.fail():
        DaemonInfo(address, os.getpid(), "1.0", 1, "token", address.socket, hands_over=False).write()
        assert [card.token for card in live_cards()] == ["token"]
        address.card.chmod(mode)
        assert live_cards() == []


def test_a_socket_that_another_process_listens_on_is_never_told_the_token() -> None:
    address = daemon_address()
    private_folder(address.folder)
    code = (
        "import socket, sys\n"
        "server = socket.socket(socket.AF_UNIX); server.bind(sys.argv[1]); server.listen(); print(flush=True)\n"
        "connection, _ = server.accept(); print(connection.recv(1000), flush=True)\n"
    )
    stranger = subprocess.Popen([sys.executable, "-c", code, str(address.socket)], stdout=subprocess.PIPE)
    assert stranger.stdout is not None
    stranger.stdout.readline()
    card = DaemonInfo(address, os.getpid(), "1.0", 1, "token", address.socket, hands_over=False)
    with pytest.raises(DaemonLostError, match=rf"Another process \(pid {stranger.pid}\) listens"):
        connect(card, Introduction())
    assert stranger.communicate(timeout=60)[0] == b"b''\n"


@pytest.mark.parametrize("kind", ["file", "link"])
def test_what_is_no_socket_is_not_connected_to(tmp_path: Path, kind: str) -> None:
    address = daemon_address()
    private_folder(address.folder)
    with socket.socket(socket.AF_UNIX) as elsewhere:
        elsewhere.bind(str(tmp_path / "elsewhere"))
        elsewhere.listen()
        address.socket.touch() if kind == "file" else address.socket.symlink_to(tmp_path / "elsewhere")
        card = DaemonInfo(address, os.getpid(), "1.0", 1, "token", address.socket, hands_over=False)
        with pytest.raises(DaemonLostError, match="is no socket"):
            connect(card, Introduction())
