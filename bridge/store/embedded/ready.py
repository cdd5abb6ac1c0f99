"""Whether a server answers: one session opened by hand, so that no driver and no loop is needed to wait."""

import os
import socket
import struct
from pathlib import Path

ANSWER_TIMEOUT_S = 5
PROTOCOL = 3 << 16


def answers(address: Path, *, user: str, database: str) -> bool:
    """Whether a session can be opened: the start-up packet goes out and "ready for query" comes back."""
    names = f"user\0{user}\0database\0{database}\0\0".encode()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(ANSWER_TIMEOUT_S)
        try:
            connection.connect(os.fspath(address))
            connection.sendall(struct.pack("!II", len(names) + 8, PROTOCOL) + names)
            with connection.makefile("rb") as stream:
                while len(head := stream.read(5)) == 5:
                    kind, size = struct.unpack("!cI", head)
                    if kind in (b"Z", b"E"):
                        return bool(kind == b"Z")
                    stream.read(size - 4)
        except OSError:
            return False
    return False
