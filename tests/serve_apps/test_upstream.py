"""A connection to a replica ends when the replica's node is gone without a word."""

import socket

import pytest

from serve_apps.gateway.upstream import _watched_socket

ADDRESS = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("127.0.0.1", 9))


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="these options are Linux's")
def test_a_silent_node_is_missed_within_ten_seconds() -> None:
    with _watched_socket(ADDRESS) as made:
        assert made.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        idle, interval, count = (
            made.getsockopt(socket.IPPROTO_TCP, option)
            for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
        )
        assert idle + interval * count <= 10
        assert made.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) <= 10_000
