"""The service as a process: it listens, opens bundles anew when they change, and ends without losing a request.

SIGHUP opens every bundle anew; SIGTERM and SIGINT end: nothing new is accepted, what is in work is answered.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import Iterator
from functools import partial

import uvicorn

from exporters.serve.app import make_app
from exporters.serve.connections import limited_protocol
from exporters.serve.meter import Meter
from exporters.serve.settings import Settings
from exporters.serve.shelf import Shelf
from exporters.serve.slow_work import SlowWork
from flykd_console.errors import UserError
from flykd_console.plain_text import plain

_KEPT_ALIVE = 30
_BACKLOG = 1024


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the service's own."""
        yield


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        UserError: A bundle cannot be opened, or the address cannot be listened on.
    """
    listener = _listen(settings)
    try:
        shelf = Shelf(settings.bundles)
        run = uvicorn.Config("", log_config=None).get_loop_factory()
        with asyncio.Runner(loop_factory=run) as runner:
            runner.run(_serve(settings, shelf, listener))
    finally:
        listener.close()


async def _serve(settings: Settings, shelf: Shelf, listener: socket.socket) -> None:
    meter, slow = Meter(), SlowWork(settings.limits.threads, settings.limits.timeout)
    config = uvicorn.Config(
        make_app(shelf, settings, meter, slow),
        http=limited_protocol(settings.limits),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=_BACKLOG,
        timeout_keep_alive=_KEPT_ALIVE,
        timeout_graceful_shutdown=round(settings.limits.timeout) + 1,
    )
    server = _Server(config)
    loop, again = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, partial(setattr, server, "should_exit", True))
    loop.add_signal_handler(signal.SIGHUP, again.set)
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    names = ", ".join(f"{one.name} (run {one.scorer.manifest.run})" for one in shelf.bundles)
    _say(f"Serving {names} at http://{shown}:{port} (Ctrl-C ends it, SIGHUP opens the bundles anew)", sys.stdout)
    watch = asyncio.create_task(_renew(shelf, meter, again, settings.poll))
    try:
        await server.serve([listener])
    finally:
        watch.cancel()
        slow.close()


async def _renew(shelf: Shelf, meter: Meter, again: asyncio.Event, poll: float) -> None:
    """Open bundles anew on a signal, and those whose files have changed."""
    while True:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(again.wait(), poll or None)
        asked = again.is_set()
        again.clear()
        for one in await asyncio.to_thread(shelf.renew, not asked):
            if one.outcome != "unchanged":
                meter.renewals[one.name, one.outcome] += 1
                _say(one.line, sys.stderr)


def _listen(settings: Settings) -> socket.socket:
    where = f"{settings.host}:{settings.port}"
    try:
        kind, _, _, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        return socket.create_server(address[:2], family=kind, backlog=_BACKLOG)
    except OSError as error:
        raise UserError(
            f"the address cannot be listened on ({error.strerror})", where, "Choose another --port, or --host."
        ) from None


def _say(line: str, to: object) -> None:
    print(plain(line), file=to, flush=True)  # type: ignore[call-overload]
