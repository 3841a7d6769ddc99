"""Query strings as what is asked for: read by one model, and described by it.

FastAPI would read the fields one by one, which takes longer than making a list.
"""

from __future__ import annotations

from typing import Any, TypeVar
from urllib.parse import parse_qsl

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from exporters.serve.asked import Asked
from exporters.serve.problems import refusal

Model = TypeVar("Model", bound=Asked)

_MOST_FIELDS = 32


def read_query(model: type[Model], request: Request) -> Model:
    """The fields of a request's query string.

    Raises:
        RefusedError: A field is given twice, or there are too many.
        RequestValidationError: A field is missing, is none that there is, or is out of its range.
    """
    try:
        pairs = parse_qsl(
            request.scope["query_string"].decode("latin-1"), keep_blank_values=True, max_num_fields=_MOST_FIELDS
        )
    except ValueError:
        raise refusal(422, f"more than {_MOST_FIELDS} fields", "query", "What there is: /openapi.json") from None
    fields = dict(pairs)
    if len(fields) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise refusal(422, "the field is given twice", twice[:200], "Give it once.")
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        found: list[Any] = error.errors(include_url=False)
        raise RequestValidationError([{**one, "loc": ("query", *one["loc"])} for one in found]) from None


def query_parameters(model: type[Asked]) -> dict[str, Any]:
    """The parameters of a route as OpenAPI describes them, for `openapi_extra`."""
    schema = model.model_json_schema()
    needed = schema.get("required", [])
    parameters = []
    for name, told in schema["properties"].items():
        words = told.pop("description", "")
        # A query string has no null: it leaves the field out.
        choices = [one for one in told.pop("anyOf", []) if one != {"type": "null"}]
        one = {**told, **(choices[0] if choices else {})}
        if one.get("default", 0) is None:
            del one["default"]
        told = {"name": name, "in": "query", "required": name in needed, "schema": one}
        parameters.append({**told, "description": words} if words else told)
    return {"parameters": parameters}
