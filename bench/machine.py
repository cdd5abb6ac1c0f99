"""What the machine gives just now: shared ones differ by half within minutes, and every figure with them."""

from time import process_time

import psutil

from bench.figures import Figure

QUESTION = "machine"
ROUNDS = 1_000_000


def look(when: str) -> list[Figure]:
    """How long a fixed piece of work takes on one core, and how many others want one."""
    began = process_time()
    total = 0
    for number in range(ROUNDS):
        total += number * number
    return [
        Figure(QUESTION, f"{when}: a million steps of Python", (process_time() - began) * 1000, "ms"),
        Figure(QUESTION, f"{when}: load average", psutil.getloadavg()[0], f"on {psutil.cpu_count()} cores"),
    ]
