"""The dashboard in a browser, by textual-serve; only pages that it served itself may talk to it.

Whoever reaches the socket can stop a run. So a request must name an address of this machine (a foreign name that points
here is refused), and a socket may only be opened by a page of the same origin (another site's page is refused).
"""

from __future__ import annotations

import ipaddress
import logging
import shlex
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from aiohttp import web
from textual_serve.server import Server

from flykd_console.plain_text import plain

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def is_loopback(host: str) -> bool:
    """Whether an address can only be reached from this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def may_enter(host: str, origin: str | None, remote: bool) -> bool:
    """Whether a request is let in.

    Args:
        host: Its Host header.
        origin: Its Origin header, which browsers send with a socket and pages cannot change.
        remote: The user has opened the dashboard to other machines.
    """
    if not remote and not is_loopback(urlsplit(f"//{host}").hostname or ""):
        return False
    return origin is None or urlsplit(origin).netloc == host


class _OneLine(logging.Formatter):
    """What was said and by which error, in one line without control characters."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        error = record.exc_info[1] if record.exc_info else None
        cause = f" ({type(error).__name__}: {error})" if error is not None else ""
        return plain(" ".join(f"{record.levelname.lower()}: {record.getMessage()}{cause}".split()))


class DashboardServer(Server):
    """Serves one command's dashboard.

    Args:
        command: What each visitor's dashboard runs.
        host: Address to listen on.
        port: Port to listen on.
        title: Of the page.
        remote: Let other machines in.
    """

    def __init__(self, command: list[str], host: str, port: int, title: str, remote: bool) -> None:
        super().__init__(shlex.join(command), host=host, port=port, title=title)
        self._remote = remote

    def initialize_logging(self) -> None:
        """What went wrong is a line on standard error; requests are no news, and a visitor's mistake no traceback."""
        handler = logging.StreamHandler()
        handler.setFormatter(_OneLine())
        logging.basicConfig(level=logging.WARNING, handlers=[handler])

    async def _make_app(self) -> web.Application:
        app: web.Application = await super()._make_app()

        @web.middleware
        async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
            if not may_enter(request.headers.get("Host", ""), request.headers.get("Origin"), self._remote):
                raise web.HTTPForbidden(text="This dashboard only answers pages of its own.")
            if request.path == "/ws" and not web.WebSocketResponse().can_prepare(request).ok:
                raise web.HTTPBadRequest(text="The dashboard's own page opens this socket.")
            return await handler(request)

        app.middlewares.append(guard)
        return app

    async def on_startup(self, app: web.Application) -> None:
        """Say where it is, in one line."""
        print(f"The dashboard is at {self.public_url} (Ctrl-C ends serving; training is not affected)", flush=True)
