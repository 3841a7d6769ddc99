"""A program on a terminal of its own: what it writes is kept, keys can be sent, and it can be killed."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Mapping, Sequence
from types import TracebackType


class Terminal:
    """Runs a command on a pseudo-terminal; its output is drained all the time, as a terminal does.

    Attributes:
        process: The command.
        screen: Every byte that it wrote, escape codes and all.
    """

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], width: int = 120, height: int = 36
    ) -> None:
        self._controller, terminal = pty.openpty()
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
        self.process = subprocess.Popen(
            command,
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            env={**environment, "TERM": "xterm-256color", "COLORTERM": "truecolor"},
            start_new_session=True,
        )
        os.close(terminal)
        self.screen = b""
        self._over = threading.Event()
        self._reader = threading.Thread(target=self._drain, daemon=True)
        self._reader.start()

    def _drain(self) -> None:
        while not self._over.is_set():
            if select.select([self._controller], [], [], 0.1)[0]:
                try:
                    self.screen += os.read(self._controller, 1 << 16)
                except OSError:  # the other end is closed
                    return

    def press(self, keys: bytes) -> None:
        """Send keys."""
        os.write(self._controller, keys)

    def wait_for(self, words: bytes, seconds: float = 30.0) -> None:
        """Wait until the words were written.

        Raises:
            AssertionError: They did not come, or the program ended before.
        """
        until = time.monotonic() + seconds
        while words not in self.screen:
            ended = self.process.poll() is not None and not self._reader.is_alive()
            late = ended or time.monotonic() > until
            assert not late, f"{words!r} did not come:\n{self.screen[-2000:]!r}"
            time.sleep(0.02)

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.wait()

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        self._over.set()
        self._reader.join()
        os.close(self._controller)
