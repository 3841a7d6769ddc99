"""`flykd-console serve`: exported bundles over HTTP, with a page to ask them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flykd_console.errors import UserError

_WHO, _HOW_MUCH = "Who may ask", "How much at once"


def command(
    bundles: Annotated[
        list[str],
        typer.Argument(
            metavar="[NAME=]BUNDLE...", help="Bundles' folders, or runs with an export.", show_default=False
        ),
    ],
    host: Annotated[
        str, typer.Option(help="Address to listen on; other than localhost needs a token.", rich_help_panel=_WHO)
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0: a free one.", rich_help_panel=_WHO)
    ] = 8000,
    token_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Holds the bearer token that requests must bring; else FLYKD_TOKEN.",
            show_default=False,
            rich_help_panel=_WHO,
        ),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A name beside localhost that requests may call the service by.",
            show_default=False,
            rich_help_panel=_WHO,
        ),
    ] = None,
    poll: Annotated[
        float,
        typer.Option(min=0.0, metavar="SECONDS", help="Between looks for new bundles in place; 0: on SIGHUP alone."),
    ] = 2.0,
    access_log: Annotated[
        bool, typer.Option("--access-log", help="A line a request on standard error, without what was asked.")
    ] = False,
    max_body: Annotated[
        int, typer.Option(min=1024, metavar="BYTES", help="Of a request.", rich_help_panel=_HOW_MUCH)
    ] = 1 << 20,
    max_batch: Annotated[
        int, typer.Option(min=1, metavar="N", help="Pairs of a request, rows of a list.", rich_help_panel=_HOW_MUCH)
    ] = 10_000,
    concurrency: Annotated[
        int, typer.Option(min=1, metavar="N", help="Requests in work; more get 503.", rich_help_panel=_HOW_MUCH)
    ] = 256,
    rate: Annotated[
        float,
        typer.Option(
            min=0.0, metavar="N", help="Requests a second and client; more get 429. 0: any.", rich_help_panel=_HOW_MUCH
        ),
    ] = 0.0,
    threads: Annotated[
        int, typer.Option(min=1, metavar="N", help="Threads for what takes long.", rich_help_panel=_HOW_MUCH)
    ] = 2,
    in_loop: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="N",
            help="Rows up to which a list is made where requests are read; longer ones in a thread.",
            rich_help_panel=_HOW_MUCH,
        ),
    ] = 500,
    timeout: Annotated[
        float,
        typer.Option(min=0.1, metavar="SECONDS", help="Of headers, body and answer, each.", rich_help_panel=_HOW_MUCH),
    ] = 30.0,
) -> None:
    """Serve bundles over HTTP: `/rank`, `/score`, `/search`, `/metadata`, `/health`, `/metrics`, and a page at `/`.

    Localhost alone unless a token is set. A new bundle in place of an old one is verified, then served; a bad one is
    refused, and the old one goes on. SIGTERM answers what is in work, then ends.

    - flykd-console serve runs/RUN
    - flykd-console serve student=runs/A/export teacher=runs/B/export --port 9000
    - flykd-console serve bundle --host 0.0.0.0 --token-file token
    """
    from exporters.serve.settings import Limits, Settings, name_bundles, read_token
    from flykd_console.cli.bundles import find_bundle

    settings = Settings(
        bundles={name: find_bundle(str(path)) for name, path in name_bundles(bundles).items()},
        host=host,
        port=port,
        token=read_token(token_file),
        names=allow_host or [],
        poll=poll,
        log=access_log,
        limits=Limits(max_body, max_batch, concurrency, rate=rate, threads=threads, in_loop=in_loop, timeout=timeout),
    )
    try:
        from exporters.serve.server import serve
    except ImportError as error:
        raise UserError(f"cannot start: {error}", "serve", "pip install 'flykd-console[serve]'") from error
    serve(settings)
