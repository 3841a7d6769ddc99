"""Commands under a memory limit (`ulimit -v`): what ends by an abort of a library is told in one line.

Rust's and C++'s libraries end the whole process where an allocation fails, and no handler of ours may run then. So
where a limit is set the command runs in a forked child, and the parent says what happened. What libraries write to
standard error themselves is held back until the child has ended, and dropped where memory was the cause.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import IO

from flykd_console.mishaps import is_limited

LINE = "Memory ran out. Give this process more (ulimit -v), or use a smaller graph or model."
_ABORTS = (signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS, signal.SIGTRAP, signal.SIGILL)
_PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
# Sent by the terminal to parent and child alike.
_BY_KERNEL = 0x80


def supervised(command: Callable[[], int]) -> int:
    """Run a command; in a child of its own where memory is limited. Its exit code, 2 where memory ran out."""
    if not is_limited():
        return command()
    import tempfile

    sys.stdout.flush()
    sys.stderr.flush()
    waited = {*_PASSED_ON, signal.SIGCHLD}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, waited)
    with tempfile.TemporaryFile() as said:
        child = os.fork()
        if not child:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            _keep_apart(said)
            code = 1
            try:
                code = command()
                sys.stdout.flush()
            finally:
                os._exit(code)
        status = _waited_for(child, waited)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        said.seek(0)
        return _told(status, said.read())


def _keep_apart(said: IO[bytes]) -> None:
    """Python's standard error stays where it is; what libraries write to the descriptor goes to a file."""
    kept = os.dup(2)
    os.dup2(said.fileno(), 2)
    sys.stderr = open(kept, "w", buffering=1, encoding="utf-8", errors="backslashreplace")  # noqa: SIM115


def _waited_for(child: int, signals: set[signal.Signals]) -> int:
    while True:
        heard = signal.sigwaitinfo(signals)
        if heard.si_signo == signal.SIGCHLD:
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                return status
        elif heard.si_code != _BY_KERNEL:
            os.kill(child, heard.si_signo)


def _told(status: int, said: bytes) -> int:
    code = os.waitstatus_to_exitcode(status)
    words = (b"memory allocation of", b"bad_alloc", b"annot allocate memory", b"out of memory")
    if -code in _ABORTS and (any(one in said for one in words) or not said):
        print(LINE, file=sys.stderr)
        return 2
    sys.stderr.flush()
    os.write(2, said)
    return code if code >= 0 else 128 - code
