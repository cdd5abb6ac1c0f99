"""Ports for bridges that are processes of their own."""

import socket
from collections.abc import Callable

import pytest

pytest.register_assert_rewrite("tests.processes.judging")


@pytest.fixture
def free_ports() -> Callable[[int], list[int]]:
    """So many loopback ports that were free a moment ago, no two the same."""

    def find(count: int) -> list[int]:
        probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
        found = [int(probe.getsockname()[1]) for probe in probes]
        for probe in probes:
            probe.close()
        return found

    return find
