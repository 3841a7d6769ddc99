"""`flykd-serve BUNDLE...`: the service without the console, for machines that only answer."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from exporters.serve.settings import TOKEN_VARIABLE, Limits, Settings, name_bundles, read_token
from flykd_console.errors import UserError
from flykd_console.plain_text import plain

_LIMITS = Limits()


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until a signal; 2 where the user can mend what went wrong."""
    options = _parser().parse_args(arguments)
    try:
        limits = Limits(
            body=options.max_body,
            batch=options.max_batch,
            concurrency=options.concurrency,
            rate=options.rate,
            threads=options.threads,
            in_loop=options.in_loop,
            timeout=options.timeout,
        )
        settings = Settings(
            bundles=name_bundles(options.bundles),
            host=options.host,
            port=options.port,
            token=read_token(options.token_file),
            names=options.allow_host,
            poll=options.poll,
            log=options.access_log,
            limits=limits,
        )
        try:
            from exporters.serve.server import serve
        except ImportError as error:
            raise UserError(f"cannot start: {error}", "serve", "pip install 'flykd-scorer[serve]'") from error
        serve(settings)
    except UserError as error:
        print(plain(str(error)), file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="flykd-serve", description="Serve exported bundles over HTTP.")
    parser.add_argument("bundles", nargs="+", metavar="[NAME=]BUNDLE", help="the bundles' folders")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
    parser.add_argument("--port", type=int, default=8000, help="port to listen on (8000; 0: a free one)")
    parser.add_argument(
        "--token-file", type=Path, metavar="FILE", help=f"holds the bearer token; else {TOKEN_VARIABLE}"
    )
    parser.add_argument("--allow-host", action="append", default=[], metavar="NAME", help="a name that it is called by")
    parser.add_argument(
        "--poll", type=float, default=2.0, metavar="SECONDS", help="between looks at the files (2; 0: none)"
    )
    parser.add_argument("--max-body", type=int, default=_LIMITS.body, metavar="BYTES", help="of a request")
    parser.add_argument("--max-batch", type=int, default=_LIMITS.batch, metavar="N", help="pairs or rows of a request")
    parser.add_argument("--concurrency", type=int, default=_LIMITS.concurrency, metavar="N", help="requests at a time")
    parser.add_argument("--rate", type=float, default=_LIMITS.rate, metavar="N", help="requests a second and client")
    parser.add_argument("--threads", type=int, default=_LIMITS.threads, metavar="N", help="for what takes long")
    parser.add_argument("--in-loop", type=int, default=_LIMITS.in_loop, metavar="N", help="rows of a list made at once")
    parser.add_argument(
        "--timeout", type=float, default=_LIMITS.timeout, metavar="SECONDS", help="of headers, body, answer"
    )
    parser.add_argument("--access-log", action="store_true", help="a line a request on standard error, without queries")
    return parser


if __name__ == "__main__":
    sys.exit(main())
