"""The routes of the service, and their description (OpenAPI)."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from typing import Any

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from exporters.manifest import EMBEDDINGS
from exporters.serve.answering import Answering
from exporters.serve.asked import Asked, ListedPair, PairAsked, PairsAsked, ProfileAsked, RankAsked, SearchAsked
from exporters.serve.guard import OPEN_PATHS, Guard
from exporters.serve.meter import Meter
from exporters.serve.problems import Problem, RefusedError, refusal
from exporters.serve.query import query_parameters, read_query
from exporters.serve.replies import Health, Metadata, ProfileReply, RankReply, ScoreReply, SearchReply, facts_of
from exporters.serve.settings import Settings
from exporters.serve.shelf import Shelf
from exporters.serve.slow_work import SlowWork
from flykd_console import __version__
from flykd_console.plain_text import plain_line

_PAGE = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page/app.js": ("app.js", "text/javascript; charset=utf-8"),
    "/page/style.css": ("style.css", "text/css; charset=utf-8"),
    "/page/icon.svg": ("icon.svg", "image/svg+xml"),
}
_PROBLEMS = {
    400: "What is asked for cannot be had.",
    401: "The token is missing or another.",
    403: "Asked for under another name, or by a page of another site.",
    404: "A bundle, relation or node is unknown; near names stand in the hint.",
    408: "The body did not come in time.",
    413: "The body, or the list in it, is too large.",
    415: "The body is not said to be JSON.",
    422: "A field is missing, is none that there is, or is out of its range.",
    429: "More requests a second than one client may ask.",
    500: "The service is at fault.",
    503: "Too many requests are in work, or the answer took too long.",
}
_encode = msgspec.json.Encoder().encode


def make_app(shelf: Shelf, settings: Settings, meter: Meter, slow: SlowWork) -> Guard:
    """The application: routes behind their guard."""
    api = FastAPI(
        title="flykd-console serve",
        version=__version__,
        summary="Rankings and scores of drug-disease pairs from exported bundles.",
        description="A model's opinion, and no medical advice. Every answer says which run, seeds and model scored.",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    answering = Answering(shelf, slow, settings.limits)
    _add_answers(api, answering)
    _add_state(api, shelf, meter)
    _add_page(api)
    _add_errors(api)
    description = _encode(_described(api, settings.token is not None))

    @api.get("/openapi.json", include_in_schema=False)
    async def openapi() -> Response:
        return _json(description)

    return Guard(api, settings, meter)


def _responses(*codes: int) -> dict[int | str, dict[str, Any]]:
    return {code: {"model": Problem, "description": _PROBLEMS[code]} for code in codes}


def _add_answers(api: FastAPI, answering: Answering) -> None:
    everywhere = 400, 401, 403, 404, 422, 429, 500, 503

    def asks(path: str, model: type[Asked], reply: type) -> Callable[[Any], Any]:
        return api.get(
            path,
            response_model=reply,
            responses=_responses(*everywhere),
            tags=["answers"],
            openapi_extra=query_parameters(model),
        )

    @asks("/rank", RankAsked, RankReply)
    async def rank(request: Request) -> Response:
        """The drugs of a disease or the diseases of a drug, best first, for each relation."""
        return _json(_encode(await answering.rank(read_query(RankAsked, request))))

    @asks("/score", PairAsked, ScoreReply)
    async def score_pair(request: Request) -> Response:
        """The score of one pair, for each relation."""
        asked = read_query(PairAsked, request)
        pair = ListedPair(disease=asked.disease, drug=asked.drug, tail=asked.tail, head=asked.head)
        pairs = PairsAsked(pairs=[pair], relation=asked.relation, bundle=asked.bundle)
        return _json(_encode(await answering.score(pairs)))

    @api.post("/score", response_model=ScoreReply, responses=_responses(*everywhere, 408, 413, 415), tags=["answers"])
    async def score(asked: PairsAsked) -> Response:
        """The scores of a list of pairs, in its order."""
        return _json(_encode(await answering.score(asked)))

    @api.post(
        "/profile", response_model=ProfileReply, responses=_responses(*everywhere, 408, 413, 415), tags=["answers"]
    )
    async def profile(asked: ProfileAsked) -> Response:
        """The lists of a disease or drug that is not in the graph, by what it would be joined to."""
        return _json(_encode(await answering.profile(asked)))

    @asks("/search", SearchAsked, SearchReply)
    async def search(request: Request) -> Response:
        """Nodes by what somebody has typed so far; misspelt names too."""
        return _json(_encode(answering.search(read_query(SearchAsked, request))))


def _add_state(api: FastAPI, shelf: Shelf, meter: Meter) -> None:
    @api.get("/health", response_model=Health, responses=_responses(403, 500), tags=["state"])
    async def health() -> Response:
        """Whether the service answers; needs no token, and tells nothing of the bundles."""
        return _json(b'{"status":"ok"}')

    @api.get("/metadata", response_model=Metadata, responses=_responses(401, 403, 429, 500, 503), tags=["state"])
    async def metadata() -> Response:
        """Which bundles are served, and what each of them is."""
        told = [facts_of(one, one.scorer.manifest.files[EMBEDDINGS].sha256) for one in shelf.bundles]
        return _json(_encode(Metadata(__version__, told)))

    @api.get(
        "/metrics",
        response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}, **_responses(401, 403, 500)},
        tags=["state"],
    )
    async def metrics() -> Response:
        """Counts in Prometheus' text format."""
        return Response(meter.text(shelf.bundles), media_type="text/plain; version=0.0.4")


def _add_page(api: FastAPI) -> None:
    folder = files("exporters.serve") / "page"
    for path, (name, kind) in _PAGE.items():
        api.add_api_route(path, _file(folder.joinpath(name).read_bytes(), kind), include_in_schema=False)


def _file(data: bytes, kind: str) -> Callable[[], Any]:
    async def answer() -> Response:
        return Response(data, media_type=kind)

    return answer


def _add_errors(api: FastAPI) -> None:
    @api.exception_handler(RefusedError)
    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, RefusedError)
        return _problem(error)

    @api.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        if request.method == "POST" and "json" not in request.headers.get("content-type", ""):
            return _problem(refusal(415, "the body is not said to be JSON", "", "Send Content-Type: application/json."))
        return _problem(_of_validation(error))

    @api.exception_handler(HTTPException)
    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        told = str(error.detail)
        if error.status_code == 404:
            told = "there is nothing here"
        hint = "What there is: /openapi.json" if error.status_code in (404, 405) else ""
        return _problem(refusal(error.status_code, told.rstrip(".").lower(), "", hint, error.headers))

    @api.exception_handler(Exception)
    async def fault(request: Request, error: Exception) -> Response:
        return _problem(refusal(500, "the service is at fault", "", "Its log says more."))


def _of_validation(error: RequestValidationError) -> RefusedError:
    """The first of what is wrong with a request's fields."""
    first, *more = error.errors()
    where = ".".join(str(part) for part in first["loc"][1:]) or str(first["loc"][0])
    title = str(first["msg"])
    title = title[:1].lower() + title[1:]
    if first["type"] == "extra_forbidden":
        title = "there is no such field"
    hint = f"And {len(more)} more." if more else "What there is: /openapi.json"
    return refusal(422, plain_line(title)[:300], plain_line(where)[:200], hint)


def _problem(error: RefusedError) -> Response:
    return Response(_encode(error.problem), error.status, dict(error.headers), media_type="application/json")


def _json(data: bytes) -> Response:
    return Response(data, media_type="application/json")


def _described(api: FastAPI, with_token: bool) -> dict[str, Any]:
    """The description, with the token where one is needed."""
    told = api.openapi()
    if with_token:
        told["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        for path, methods in told["paths"].items():
            if path not in OPEN_PATHS:
                for method in methods.values():
                    method["security"] = [{"token": []}]
    return told
