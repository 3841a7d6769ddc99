"""Whatever the service's own description allows is answered as it says, and never by a fault of the service."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("schemathesis")
pytest.importorskip("fastapi")

import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from exporters.bundle import export_run
from exporters.serve.app import make_app
from exporters.serve.meter import Meter
from exporters.serve.settings import Settings
from exporters.serve.shelf import Shelf
from exporters.serve.slow_work import SlowWork
from tests.support.finished_run import RunSpec, make_finished_run

HOST = {"Host": "127.0.0.1:8000"}
described = schemathesis.pytest.from_fixture("description")


@pytest.fixture(scope="module")
def description(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("described")
    export_run(make_finished_run(folder / "runs", RunSpec(seeds=(45,))), out=folder / "bundle")
    served = Settings(bundles={"bundle": Path("bundle")})
    app = make_app(Shelf({"bundle": folder / "bundle"}), served, Meter(), SlowWork(1, 30.0))
    schema = schemathesis.openapi.from_asgi("/openapi.json", app, headers=HOST)

    @schema.hook
    def map_query(context: Any, query: Any) -> Any:
        """Names that are there, half of the time, so that something is ranked and scored."""
        for name, known in (("disease", "T0003"), ("drug", "H0002"), ("relation", "indication"), ("bundle", "bundle")):
            if query and len(str(query.get(name, "") or "")) % 2:
                query[name] = known
        return query

    return schema


@pytest.mark.timeout(600)
@described.parametrize()
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
def test_what_the_description_allows_is_answered_as_it_says(case: Any) -> None:
    reply = case.call(headers=HOST)
    as_said = [
        not_a_server_error,
        status_code_conformance,
        content_type_conformance,
        response_schema_conformance,
    ]
    case.validate_response(reply, checks=as_said)
