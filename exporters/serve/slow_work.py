"""What takes long runs in a few threads beside the loop, within a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from exporters.serve.problems import refusal

Answer = TypeVar("Answer")


class SlowWork:
    """Args: how many threads, and the seconds that an answer may take, waiting included."""

    def __init__(self, threads: int, timeout: float) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="slow")
        self._timeout = timeout

    async def run(self, work: Callable[[], Answer]) -> Answer:
        """What `work` gives.

        Raises:
            RefusedError: It was not there in time (503); work that has not begun is dropped then.
        """
        try:
            async with asyncio.timeout(self._timeout):
                return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        except TimeoutError:
            raise refusal(
                503, f"no answer within {self._timeout:g} s", "", "Ask for less, or later.", {"retry-after": "5"}
            ) from None

    def close(self) -> None:
        """Drop what has not begun."""
        self._pool.shutdown(wait=False, cancel_futures=True)
