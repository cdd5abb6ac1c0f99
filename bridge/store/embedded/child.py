"""Becomes initdb or postgres: the few steps between fork and exec, in an interpreter of its own.

Run as a script, never imported by the bridge: what changes a process's identity must not happen in a
process that has threads. Knows the standard library only. Steps, in the one order that works:

1. started as root, become the unprivileged user (Postgres refuses to run as root);
2. where that user cannot walk to the binaries or to the cluster (a checkout below a directory of mode
   0700), keep the one capability that lets it, and nothing else. Nobody's directories are widened;
3. ask the kernel to end us when our parent ends. A change of identity or capabilities would clear that
   wish, so it comes after them; exec keeps it, because nothing is gained there;
4. exec.

Usage: child.py PARENT_PID UID GID REACH_COUNT REACH... COMMAND [ARGUMENT...]   (UID -1: stay who we are)
"""

import ctypes
import os
import signal
import sys
from typing import NoReturn

PR_SET_PDEATHSIG = 1
PR_SET_KEEPCAPS = 8
PR_SET_SECUREBITS = 28
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
CAP_DAC_OVERRIDE = 1
CAP_DAC_READ_SEARCH = 2
CAP_SETPCAP = 8
SECBIT_NO_SETUID_FIXUP = 1 << 2
CAPABILITY_VERSION_3 = 0x20080522

# Immediate shutdown. Nothing committed is lost (the next start replays the log), and unlike a fast shutdown
# it neither waits for a checkpoint nor for a backend that does not listen, so the folder is free at once.
DEATH_SIGNAL = signal.SIGQUIT

# Weakest first. Containers commonly withhold READ_SEARCH, and files that pip wrote under a umask of 077
# cannot be executed with it; there the stronger one does.
CAPABILITIES = (None, CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE)


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Sets(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


def main(arguments: list[str]) -> NoReturn:
    parent, uid, gid, count = (int(a) for a in arguments[:4])
    reach, command = arguments[4 : 4 + count], arguments[4 + count :]
    libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
    if uid >= 0:
        become(libc, uid, gid, reach)
    if libc is not None:
        _checked(libc.prctl(PR_SET_PDEATHSIG, int(DEATH_SIGNAL), 0, 0, 0), "PR_SET_PDEATHSIG")
    if os.getppid() != parent:
        sys.exit("the bridge ended before its Postgres began")
    os.execv(command[0], command)


def become(libc: ctypes.CDLL | None, uid: int, gid: int, reach: list[str]) -> None:
    """Be ``uid`` from here on, able to walk to ``reach``; exit with a word for people if that cannot be."""
    try:
        if libc is not None:
            _checked(libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0), "PR_SET_KEEPCAPS")
        os.setgroups([gid])
        os.setgid(gid)
        os.setuid(uid)
        unreached = _unreached(reach) if libc is None else _keep_least(libc, reach)
    except OSError as error:
        sys.exit(f"cannot run Postgres as the unprivileged user {uid}: {error}. {ADVICE}")
    if unreached:
        sys.exit(f"the unprivileged user {uid} that Postgres runs as cannot reach {unreached}. {ADVICE}")


ADVICE = (
    "Start the bridge as an ordinary user, put the checkout and BRIDGE_DATA below directories that others"
    " may enter, or set DATABASE_URL to a Postgres of your own."
)


def _keep_least(libc: ctypes.CDLL, reach: list[str]) -> str | None:
    """Keep the weakest capability with which all of ``reach`` can be used; return what none reaches."""
    permitted = _permitted(libc)
    unreached: str | None = None
    for capability in CAPABILITIES:
        bits = 0 if capability is None else 1 << capability
        if bits & ~permitted:
            continue
        _set_capabilities(libc, effective=bits, permitted=permitted, inheritable=0)
        unreached = _unreached(reach)
        if unreached is None:
            _settle_with(libc, bits, permitted)
            return None
    return unreached


def _settle_with(libc: ctypes.CDLL, bits: int, permitted: int) -> None:
    """Have ``bits`` and nothing else, across exec."""
    if bits:
        # access(2), by which Postgres looks for its own programs, would disregard them otherwise.
        setpcap = 1 << CAP_SETPCAP
        _set_capabilities(libc, effective=setpcap, permitted=permitted, inheritable=0)
        _checked(libc.prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0), "PR_SET_SECUREBITS")
    # Exec lets only what is ambient pass; the rest goes here already.
    _set_capabilities(libc, effective=bits, permitted=bits, inheritable=bits)
    for capability in CAPABILITIES:
        if capability is not None and bits & 1 << capability:
            raised = libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0)
            _checked(raised, "PR_CAP_AMBIENT_RAISE")


def _unreached(reach: list[str]) -> str | None:
    effective = os.access in os.supports_effective_ids
    return next((p for p in reach if not os.access(p, os.R_OK | os.X_OK, effective_ids=effective)), None)


def _permitted(libc: ctypes.CDLL) -> int:
    header, sets = _Header(CAPABILITY_VERSION_3, 0), (_Sets * 2)()
    _checked(libc.capget(ctypes.byref(header), sets), "capget")
    return int(sets[0].permitted)


def _set_capabilities(libc: ctypes.CDLL, *, effective: int, permitted: int, inheritable: int) -> None:
    header = _Header(CAPABILITY_VERSION_3, 0)
    sets = (_Sets * 2)(_Sets(effective, permitted, inheritable), _Sets(0, 0, 0))
    _checked(libc.capset(ctypes.byref(header), sets), "capset")


def _checked(returned: int, call: str) -> None:
    if returned != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{call}: {os.strerror(error)}")


if __name__ == "__main__":
    main(sys.argv[1:])
