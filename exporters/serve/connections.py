"""Connections as they are accepted: not more than a number, and none that takes its time over its headers."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from exporters.serve.settings import Limits

_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-type: text/plain\r\ncontent-length: 21\r\n"
    b"connection: close\r\n\r\ntoo many connections\n"
)


def limited_protocol(limits: Limits) -> type[asyncio.Protocol]:
    """uvicorn's protocol of one connection, within limits."""

    class LimitedProtocol(HttpToolsProtocol):
        _slow: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            if len(self.connections) > limits.connections:
                transport.write(_FULL)
                transport.close()
                return
            self._expect_headers()

        def connection_lost(self, exc: Exception | None) -> None:
            self._headers_came()
            super().connection_lost(exc)

        def on_message_begin(self) -> None:
            super().on_message_begin()
            self._expect_headers()

        def on_headers_complete(self) -> None:
            self._headers_came()
            super().on_headers_complete()

        def _expect_headers(self) -> None:
            self._headers_came()
            self._slow = self.loop.call_later(limits.timeout, self.transport.close)

        def _headers_came(self) -> None:
            if self._slow is not None:
                self._slow.cancel()
                self._slow = None

        def data_received(self, data: bytes) -> Any:
            # What comes after a refusal is not looked at.
            if not self.transport.is_closing():
                super().data_received(data)

    return LimitedProtocol
