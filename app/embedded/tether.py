"""Starts a program that gets a signal when the process that started it dies.

Run as a script, by `supervised`: PARENT SIGNAL UID GID PROGRAM [ARGUMENT …]. It becomes the
program, so the process is the same. Tied to its parent on Linux alone; elsewhere the next run
finds what was left. A UID below 0 keeps the user.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, number, uid, gid = (int(argument) for argument in sys.argv[1:5])
    program = sys.argv[5:]
    if uid >= 0:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    # After the change of user, which would undo it.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(1)  # it died before we were tied to it
    # Python ignores these, and a program would inherit that.
    for ignored in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(ignored, signal.SIG_DFL)
    os.execve(program[0], program, os.environ)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main()
