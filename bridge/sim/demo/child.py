"""Becomes a part of the demo: the step between fork and exec that makes it die with the demo.

Run as a script, never imported by the demo. Knows the standard library only.

Usage: child.py PARENT_PID COMMAND [ARGUMENT...]
"""

import ctypes
import os
import signal
import sys
from typing import NoReturn

PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> NoReturn:
    parent, command = int(arguments[0]), arguments[1:]
    if sys.platform == "linux":
        # A demo that was killed cannot ask anybody to end in order.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("the demo ended before this part of it began")
    os.execv(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1:])
