"""Who is let in and how much at once: the outermost layer of the service, before anything of a request is parsed.

Host and Origin are held against this service's own names, so that a page of another site that points its name here (DNS
rebinding) is told nothing. What is refused costs next to nothing, and every answer carries the headers that keep a
browser from running or framing what it should not.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import sys
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import asdict
from typing import Any
from urllib.parse import urlsplit

from exporters.serve.meter import Meter
from exporters.serve.problems import RefusedError, refusal
from exporters.serve.settings import Settings, as_address, is_loopback

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

# Answered without a token and however much there is to do.
OPEN_PATHS = frozenset({"/", "/health", "/openapi.json", "/page/app.js", "/page/style.css", "/page/icon.svg"})
UNCOUNTED_PATHS = OPEN_PATHS | {"/metrics"}
ROUTES = frozenset({*UNCOUNTED_PATHS, "/rank", "/score", "/profile", "/search", "/metadata"})
_HEADERS: list[tuple[bytes, bytes]] = [
    (b"content-security-policy", b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
     b"img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
]  # fmt: skip
# Seconds over which a client's rate is an average.
_BURST = 2.0
_MOST_CLIENTS = 10_000


class Guard:
    """Lets requests through to an application.

    Args:
        app: What answers.
        settings: Token, names and limits.
        meter: Hears of every answer.
    """

    def __init__(self, app: App, settings: Settings, meter: Meter) -> None:
        self._app, self._settings, self._meter = app, settings, meter
        self._limits = settings.limits
        self._expected = f"Bearer {settings.token}".encode() if settings.token is not None else None
        self._names = {name.lower() for name in settings.names}
        self._remote = not is_loopback(settings.host)
        self._hosts: dict[bytes, bool] = {}
        self._clients: dict[str, tuple[float, float]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun, path = time.perf_counter(), scope["path"]
        status = 500

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), *_HEADERS]
            await send(message)

        counted = path not in UNCOUNTED_PATHS
        try:
            self._check(scope, path)
            received = await self._with_body(scope, receive) if scope["method"] not in ("GET", "HEAD") else receive
            if counted and self._meter.in_work >= self._limits.concurrency:
                self._meter.refused["concurrency"] += 1
                raise refusal(
                    503,
                    f"{self._limits.concurrency} requests are in work",
                    "",
                    "Try again in a second.",
                    {"retry-after": "1"},
                )
            self._meter.in_work += counted
            try:
                await self._app(scope, received, sent)
            finally:
                self._meter.in_work -= counted
        except RefusedError as refused:
            await tell(refused, sent)
        finally:
            seconds = time.perf_counter() - begun
            self._meter.answered(path if path in ROUTES else "other", status, seconds)
            if self._settings.log:
                print(f"{scope['method']} {path!a} {status} {1e3 * seconds:.1f} ms", file=sys.stderr, flush=True)

    def _check(self, scope: Scope, path: str) -> None:
        """Hold a request's headers against what is asked of them."""
        host = origin = authorization = b""
        for name, value in scope["headers"]:
            if name == b"host":
                host = value
            elif name == b"origin":
                origin = value
            elif name == b"authorization":
                authorization = value
        if not self._is_own(host):
            self._meter.refused["host"] += 1
            raise refusal(
                403,
                f"this service is not called {host.decode('latin-1')!r}",
                "Host",
                "Start it with --allow-host NAME.",
            )
        if origin and urlsplit(origin.decode("latin-1")).netloc.encode("latin-1") != host:
            self._meter.refused["origin"] += 1
            raise refusal(403, "pages of other sites are not answered", "Origin", "Ask without a browser.")
        # Compared in the same time wherever the two differ.
        if path not in OPEN_PATHS and self._expected and not hmac.compare_digest(authorization, self._expected):
            self._meter.refused["token"] += 1
            title = "the token is not the service's" if authorization else "a token is needed"
            hint = "Send the header Authorization: Bearer TOKEN."
            raise refusal(401, title, "Authorization", hint, {"www-authenticate": "Bearer"})
        if self._limits.rate and path not in UNCOUNTED_PATHS:
            self._count(scope["client"][0] if scope.get("client") else "")

    def _is_own(self, host: bytes) -> bool:
        known = self._hosts.get(host)
        if known is None:
            known = self._may_be_called(host.decode("latin-1"))
            if len(self._hosts) < _MOST_CLIENTS:
                self._hosts[host] = known
        return known

    def _may_be_called(self, host: str) -> bool:
        """Whether a Host header names this service: this machine, a name that was allowed, or its plain address.

        Plain addresses can only be one's own: no name server was asked.
        """
        try:
            name = (urlsplit(f"//{host}").hostname or "").lower()
        except ValueError:
            return False
        if is_loopback(name) or name in self._names:
            return True
        return self._remote and as_address(name) is not None

    def _count(self, client: str) -> None:
        """Take one from what a client may still ask: a bucket that fills at the rate (Turner 1986)."""
        now, rate = time.monotonic(), self._limits.rate
        left, then = self._clients.get(client, (rate * _BURST, now))
        left = min(max(rate * _BURST, 1.0), left + (now - then) * rate)
        if left < 1.0:
            self._meter.refused["rate"] += 1
            wait = max(1, round((1.0 - left) / rate + 0.5))
            raise refusal(
                429, f"more than {rate:g} requests a second", "", f"Try again in {wait} s.", {"retry-after": str(wait)}
            )
        if client not in self._clients and len(self._clients) >= _MOST_CLIENTS:
            self._clients.clear()
        self._clients[client] = (left - 1.0, now)

    async def _with_body(self, scope: Scope, receive: Receive) -> Receive:
        """A body that was read whole, within size and time, as what the application receives."""
        length = dict(scope["headers"]).get(b"content-length", b"0")
        limit = self._limits.body
        too_large = refusal(
            413, f"the body is larger than {limit} bytes", "", "Send less at a time.", {"connection": "close"}
        )
        if length.isdigit() and int(length[:20]) > limit:
            self._meter.refused["body"] += 1
            raise too_large
        body = b""
        try:
            async with asyncio.timeout(self._limits.timeout):
                more = True
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        break
                    body += message.get("body", b"")
                    more = message.get("more_body", False)
                    if len(body) > limit:
                        self._meter.refused["body"] += 1
                        raise too_large
        except TimeoutError:
            self._meter.refused["timeout"] += 1
            raise refusal(
                408, "the body did not come in time", "", "Send it at once.", {"connection": "close"}
            ) from None
        given = False

        async def again() -> Message:
            nonlocal given
            if given:
                return await receive()
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        return again


async def tell(refused: RefusedError, send: Send) -> None:
    """Send a refusal as JSON."""
    body = json.dumps(asdict(refused.problem)).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    headers += [(name.encode(), value.encode()) for name, value in refused.headers.items()]
    await send({"type": "http.response.start", "status": refused.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
