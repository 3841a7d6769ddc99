"""The service answers as the scorer does, refuses in one line, and lets in who may come in."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi")

from fastapi.testclient import TestClient

from exporters.bundle import export_run
from exporters.scorer import Scorer
from exporters.serve.app import make_app
from exporters.serve.meter import Meter
from exporters.serve.settings import Limits, Settings
from exporters.serve.shelf import Shelf
from exporters.serve.slow_work import SlowWork
from flykd_console.errors import UserError
from tests.support.finished_run import RunSpec, make_finished_run

NAMES = {"T0003": "asthma", "T0004": "asthma, aspirin-induced", "T0006": "twin", "T0007": "Twin", "H0002": "salbutamol"}
TOKEN = "correct-horse-battery-staple"
HOST = "http://127.0.0.1:8000"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("served")
    spec = RunSpec(seeds=(45,), names=NAMES, empty=(("indication", "validation"),))
    export_run(make_finished_run(folder / "runs", spec), out=folder / "bundle")
    return folder / "bundle"


@pytest.fixture(scope="module")
def scorer(bundle: Path) -> Iterator[Scorer]:
    with Scorer(bundle) as scorer:
        yield scorer


Opened = Callable[..., TestClient]


@pytest.fixture(scope="module")
def opened(bundle: Path) -> Opened:
    """A client of a service of the bundle, under settings."""
    shelf = Shelf({"bundle": bundle, "second": bundle})

    def open_service(**changes: Any) -> TestClient:
        settings = replace(Settings(bundles={"bundle": bundle}), **changes)
        slow = SlowWork(settings.limits.threads, settings.limits.timeout)
        return TestClient(make_app(shelf, settings, Meter(), slow), base_url=HOST, raise_server_exceptions=False)

    return open_service


@pytest.fixture(scope="module")
def client(opened: Opened) -> TestClient:
    return opened()


def refused(reply: Any, status: int) -> str:
    """The line of a refusal, held against its form."""
    assert reply.status_code == status, reply.text
    told = reply.json()
    assert set(told) == {"error", "title", "where", "hint"}
    assert "\n" not in told["error"]
    assert str(UserError(told["title"], told["where"], told["hint"])) == told["error"]
    return str(told["error"])


@pytest.mark.parametrize(
    ("asked", "called"),
    [
        ({"disease": "asthma", "top": 7}, {"top": 7}),
        ({"tail": "T0003", "exclude_known": "true"}, {"exclude_known": True}),
        ({"disease": "ASTHMA", "beyond": "popularity"}, {"beyond": "popularity"}),
        ({"disease": "asthma", "adjust": "true"}, {"adjust": True}),
        ({"disease": "asthma", "through": "protein 3"}, {"through": "protein 3"}),
    ],
)
def test_a_list_is_the_scorers(
    client: TestClient, scorer: Scorer, asked: dict[str, Any], called: dict[str, Any]
) -> None:
    reply = client.get("/rank", params=asked)
    assert reply.status_code == 200, reply.text
    told = reply.json()
    assert told["node"] == {"type": "disease", "index": 3, "id": "T0003", "name": "asthma"}
    assert told["scored_by"]["run"] == scorer.manifest.run
    assert [one["relation"] for one in told["lists"]] == list(scorer.relations)
    for one in told["lists"]:
        expected = scorer.rank_heads("asthma", one["relation"], **{"top": 20, **called})
        assert one["rows"] == json.loads(json.dumps([asdict(row) for row in expected]))
        assert one["calibrated"] == scorer.is_calibrated(one["relation"])


def test_diseases_are_ranked_for_a_drug_under_one_relation(client: TestClient, scorer: Scorer) -> None:
    told = client.get("/rank", params={"drug": "salbutamol", "relation": "indication", "bundle": "second"}).json()
    assert told["ranked_type"] == "disease"
    assert told["scored_by"]["bundle"] == "second"
    (listed,) = told["lists"]
    expected = scorer.rank_tails("salbutamol", "indication")
    assert [row["id"] for row in listed["rows"]] == [one.id for one in expected]


def test_reasons_name_similar_diseases_of_the_drug_and_what_both_are_joined_to(
    client: TestClient, scorer: Scorer
) -> None:
    told = client.get("/rank", params={"disease": "asthma", "relation": "indication", "reasons": "true", "top": 30})
    rows = told.json()["lists"][0]["rows"]
    train = {tuple(pair) for pair in scorer.training_pairs("indication").tolist()}
    nearest = scorer.tables.nearest("indication")
    assert nearest is not None
    mine = slice(nearest.indptr[3], nearest.indptr[4])
    similarity = dict(zip(nearest.index[mine].tolist(), nearest.similarity[mine].tolist(), strict=True))
    for row in rows:
        held = {tail: value for tail, value in similarity.items() if (row["index"], tail) in train}
        best = sorted(held, key=lambda tail: -held[tail])[:3]
        assert [one["id"] for one in row["why"]["alike"]] == [scorer.tails.ids[tail] for tail in best]
        # Protein i is joined to the heads and tails whose number leaves i divided by 12.
        shared = row["index"] % 12 == 3
        assert row["why"]["shared_count"] == int(shared)
        assert row["why"]["shared"] == ([{"type": "protein", "id": "P3", "name": "protein 3"}] if shared else [])
    assert any(row["why"]["alike"] for row in rows)
    assert any(row["why"]["shared"] for row in rows)


def test_pairs_are_scored_in_their_order_each_under_its_relation(client: TestClient, scorer: Scorer) -> None:
    pairs = [
        {"drug": "salbutamol", "disease": "asthma", "relation": "indication"},
        {"head": "H0005", "tail": "T0001", "relation": "contraindication"},
        {"drug": "H0001", "disease": "T0009"},
    ]
    told = client.post("/score", json={"pairs": pairs, "relation": "indication"}).json()
    expected = [
        *scorer.score_pairs([("H0002", "T0003")], "indication"),
        *scorer.score_pairs([("H0005", "T0001")], "contraindication"),
        *scorer.score_pairs([("H0001", "T0009")], "indication"),
    ]
    assert told["pairs"] == [asdict(one) for one in expected]
    both = client.get("/score", params={"drug": "salbutamol", "disease": "asthma"}).json()
    assert [one["relation"] for one in both["pairs"]] == list(scorer.relations)


def test_pairs_of_unknown_nodes_are_named_or_left_out(client: TestClient) -> None:
    pairs = [
        {"drug": "salbutamol", "disease": "asthma"},
        *[{"drug": f"none {n}", "disease": "asthma"} for n in range(7)],
    ]
    line = refused(client.post("/score", json={"pairs": pairs}), 404)
    assert "pair 2: there is no drug 'none 0'" in line
    assert "pair 6:" in line
    assert "pair 7:" not in line
    assert "and 2 more" in line
    told = client.post("/score", json={"pairs": pairs, "skip_unknown": True}).json()
    assert len(told["pairs"]) == 2
    assert len(told["skipped"]) == 7


@pytest.mark.parametrize(
    ("path", "asked", "status", "words"),
    [
        ("/rank", {"disease": "asthmma"}, 404, "there is no disease 'asthmma'. Near: asthma"),
        ("/rank", {"disease": "twin"}, 404, "Give the id: T0006; T0007"),
        ("/rank", {"disease": "asthma", "relation": "cures"}, 404, "Choose one: contraindication, indication"),
        ("/rank", {"disease": "asthma", "bundle": "x"}, 404, "there is no bundle 'x'. Choose one: bundle, second"),
        ("/rank", {"disease": "asthma", "through": "protien 3"}, 404, "through: no node is called 'protien 3'"),
        ("/rank", {"disease": "asthma", "through": "protein 4"}, 400, "nothing in the graph joins asthma"),
        ("/rank", {"disease": "asthma", "adjust": "1", "beyond": "popularity"}, 400, "two orders"),
        ("/rank", {"disease": "asthma", "drug": "salbutamol"}, 400, "a list is of one node"),
        ("/rank", {}, 400, "Give disease or drug"),
        ("/rank", {"disease": "asthma", "tail": "asthma"}, 400, "one end is named twice"),
        ("/rank", {"disease": "asthma", "top": "0"}, 422, "top: input should be greater than or equal to 1"),
        ("/rank", {"disease": "asthma", "top": "100000"}, 400, "100000 rows are too many"),
        ("/rank", {"disease": "asthma", "relations": "indication"}, 422, "relations: there is no such field"),
        ("/rank", {"disease": "asthma\x1b[2J\n"*20}, 404, "there is no disease"),
        ("/score", {"disease": "asthma"}, 400, "a pair has two ends"),
        ("/search", {"q": "a", "type": "planet"}, 404, "there is no node type 'planet'"),
        ("/nowhere", {}, 404, "there is nothing here"),
    ],
)  # fmt: skip
def test_what_cannot_be_answered_is_refused_in_one_line(
    client: TestClient, path: str, asked: dict[str, str], status: int, words: str
) -> None:
    reply = client.get(path, params=asked)
    assert words in refused(reply, status)
    assert "\x1b" not in reply.text


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"\xff\xfe", b'{"pairs": []}', b'{"pairs": [{}], "x": 1}', b"[" * 100_000,
        b'{"pairs": "\\ud800"}', b'{"pairs": [{"drug": 1e999, "disease": "x"}]}', b'{"pairs": [' + b"9" * 5000 + b"]}",
    ],
)  # fmt: skip
def test_a_body_that_is_no_list_of_pairs_is_refused_in_one_line(client: TestClient, body: bytes) -> None:
    reply = client.post("/score", content=body, headers={"content-type": "application/json"})
    assert reply.status_code in (400, 422)
    refused(reply, reply.status_code)
    refused(client.post("/score", content=body or b"x", headers={"content-type": "text/plain"}), 415)


PROFILE = {"name": "my disease", "edges": {"tail_protein": ["protein 1", "P4"], "phenotype": ["E1"]}}


def test_a_disease_that_is_not_in_the_graph_is_asked_for_by_its_profile(client: TestClient, scorer: Scorer) -> None:
    profile = PROFILE | {"known": {"indication": ["H0004"]}}
    asked = {"profile": profile, "top": 7, "exclude_known": True}
    told = client.post("/profile", json=asked)
    assert told.status_code == 200, told.text
    assert told.json()["ranked_type"] == "drug"
    for one, relation in zip(told.json()["lists"], scorer.relations, strict=True):
        placed = scorer.profile(profile, relation, 7, exclude_known=True)
        assert one == json.loads(json.dumps(asdict(placed)))
        assert one["name"] == "my disease"
        assert one["lenders"][0]["shared"]
    drug = {"profile": {"type": "drug", "edges": {"proteins": ["P3"]}}, "relation": "indication"}
    told = client.post("/profile", json=drug)
    assert told.json()["ranked_type"] == "disease"
    assert len(told.json()["lists"]) == 1


@pytest.mark.parametrize(
    ("asked", "status", "words"),
    [
        ({"profile": {"edges": {"tail_protein": ["protein 1x"]}}}, 404, "Near: protein 1"),
        ({"profile": {"edges": {"planets": ["P1"]}}}, 404, "no relation 'planets' joins disease nodes"),
        ({"profile": PROFILE, "relation": "cures"}, 404, "Choose one: contraindication, indication"),
        ({"profile": PROFILE, "through": "protein 5"}, 400, "nothing in the profile joins my disease"),
        ({"profile": PROFILE, "adjust": True, "beyond": "popularity"}, 400, "two orders"),
        ({"profile": PROFILE, "top": 100000}, 400, "100000 rows are too many"),
        ({"profile": {"edges": {}}}, 422, "the profile names no node"),
        ({"profile": {"name": "x"}}, 422, "profile.edges: field required"),
        ({"profile": PROFILE | {"genes": []}}, 422, "profile.genes: there is no such field"),
        ({"profile": {"type": "planet", "edges": {"tail_protein": ["P1"]}}}, 404, "there is no node type 'planet'"),
    ],
)
def test_a_profile_that_cannot_be_placed_is_refused_in_one_line(
    client: TestClient, asked: dict[str, Any], status: int, words: str
) -> None:
    line = refused(client.post("/profile", json=asked), status)
    assert words in line
    assert "--" not in line


def test_a_bundle_without_profiles_says_so(tmp_path: Path, bundle: Path) -> None:
    run = make_finished_run(tmp_path, RunSpec(seeds=(45,)))
    export_run(run, out=tmp_path / "bundle", profiles=False)
    shelf, settings = Shelf({"bundle": tmp_path / "bundle"}), Settings(bundles={"bundle": bundle})
    client = TestClient(make_app(shelf, settings, Meter(), SlowWork(1, 30.0)), base_url=HOST)
    assert "the bundle holds no profiles" in refused(client.post("/profile", json={"profile": PROFILE}), 400)
    assert client.get("/metadata").json()["bundles"][0]["profiles"] is False


def test_a_query_with_a_field_twice_or_too_many_is_refused(client: TestClient) -> None:
    assert "top: the field is given twice" in refused(client.get("/rank?disease=asthma&top=1&top=2"), 422)
    many = "&".join(f"f{n}=1" for n in range(40))
    assert "more than 32 fields" in refused(client.get(f"/rank?{many}"), 422)


def test_the_description_names_every_route_and_field_and_what_each_answers(opened: Opened) -> None:
    told = opened(token=TOKEN).get("/openapi.json").json()
    paths = {(path, method) for path, methods in told["paths"].items() for method in methods}
    assert paths == {
        ("/rank", "get"), ("/score", "get"), ("/score", "post"), ("/profile", "post"), ("/search", "get"),
        ("/health", "get"), ("/metadata", "get"), ("/metrics", "get"),
    }  # fmt: skip
    rank = {one["name"]: one for one in told["paths"]["/rank"]["get"]["parameters"]}
    assert set(rank) == {
        "disease", "drug", "head", "tail", "relation", "top", "exclude_known", "beyond", "adjust", "through", "reasons",
        "bundle",
    }  # fmt: skip
    assert rank["top"]["schema"]["minimum"] == 1
    assert rank["beyond"]["schema"]["enum"] == ["popularity", "neighbours"]
    assert all(one["description"] for one in rank.values())
    assert [one["required"] for one in told["paths"]["/search"]["get"]["parameters"]] == [True, False, False, False]
    assert told["paths"]["/rank"]["get"]["security"] == [{"token": []}]
    assert "security" not in told["paths"]["/health"]["get"]


def test_a_search_finds_what_is_typed_half_or_wrongly(client: TestClient) -> None:
    def found(**asked: str) -> list[tuple[str, str]]:
        return [(one["name"], one["match"]) for one in client.get("/search", params=asked).json()["results"]]

    assert found(q="asthma")[:2] == [("asthma", "name"), ("asthma, aspirin-induced", "beginning")]
    assert found(q="aspirin", limit="1") == [("asthma, aspirin-induced", "word")]
    assert found(q="induced asthma", limit="1") == [("asthma, aspirin-induced", "word")]
    assert found(q="asthmaa", limit="1") == [("asthma", "alike")]
    assert found(q="salbutomol", type="drug")[0] == ("salbutamol", "alike")
    assert found(q="t0003", limit="1") == [("asthma", "id")]
    assert found(q="  ") == []
    assert len(found(q="disease T", limit="5", type="disease")) == 5


def test_the_state_is_told_in_words_and_in_counts(client: TestClient, scorer: Scorer) -> None:
    assert client.get("/health").json() == {"status": "ok"}
    first, second = client.get("/metadata").json()["bundles"]
    assert [first["scored_by"]["bundle"], second["scored_by"]["bundle"]] == ["bundle", "second"]
    assert first["relations"] == list(scorer.relations)
    assert first["nodes"]["drug"] == 30
    text = client.get("/metrics").text
    lines = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert float(lines['flykd_requests_total{route="/health",status="200"}']) >= 1
    assert (
        lines['flykd_request_seconds_bucket{route="/health",le="+Inf"}']
        == (lines['flykd_request_seconds_count{route="/health"}'])
    )
    assert f'flykd_bundle_info{{bundle="second",run="{scorer.manifest.run}",model="student",method="flykd"}}' in lines
    assert float(lines["process_resident_memory_bytes"]) > 1e6


def test_another_name_or_another_sites_page_is_refused(opened: Opened, client: TestClient) -> None:
    for host in ("evil.example", "127.0.0.1.evil.example", "192.168.1.7:8000", "", "[", "localhost@evil.example"):
        refused(client.get("/health", headers={"host": host}), 403)
    for host in ("localhost", "localhost:1", "[::1]:8000", "127.0.0.2", "LOCALHOST"):
        assert client.get("/health", headers={"host": host}).status_code == 200, host
    refused(client.get("/health", headers={"origin": "http://evil.example"}), 403)
    refused(client.get("/health", headers={"origin": "null"}), 403)
    assert client.get("/health", headers={"origin": HOST}).status_code == 200
    named = opened(names=["scores.example"])
    assert named.get("/health", headers={"host": "Scores.example:8000"}).status_code == 200
    refused(named.get("/health", headers={"host": "other.example"}), 403)
    remote = opened(host="0.0.0.0", token=TOKEN)
    assert remote.get("/health", headers={"host": "192.168.1.7:8000"}).status_code == 200
    refused(remote.get("/health", headers={"host": "evil.example"}), 403)


def test_with_a_token_only_who_brings_it_is_told_of_bundles(opened: Opened) -> None:
    client = opened(token=TOKEN)
    for path in ("/metadata", "/metrics", "/rank?disease=asthma", "/search?q=a", "/nowhere"):
        assert "a token is needed" in refused(client.get(path), 401)
        for header in ("Bearer wrong", f"Basic {TOKEN}", "Bearer", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", "ü"):
            reply = client.get(path, headers=[(b"authorization", header.encode("latin-1"))])
            assert "the token is not the service's" in refused(reply, 401)
            assert reply.headers["www-authenticate"] == "Bearer"
    assert client.get("/metadata", headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200
    for path in ("/", "/health", "/openapi.json", "/page/app.js"):
        assert client.get(path).status_code == 200


def test_a_body_or_a_list_that_is_too_large_is_refused(opened: Opened) -> None:
    client = opened(limits=Limits(body=1000, batch=3))
    long = json.dumps({"pairs": [{"drug": "H0001", "disease": "T0001"}] * 40})
    headers = {"content-type": "application/json"}
    assert "larger than 1000 bytes" in refused(client.post("/score", content=long, headers=headers), 413)

    def pieces() -> Iterator[bytes]:
        yield from (long[at : at + 100].encode() for at in range(0, len(long), 100))

    assert "larger than 1000 bytes" in refused(client.post("/score", content=pieces(), headers=headers), 413)
    four = {"pairs": [{"drug": "H0001", "disease": "T0001"}] * 4}
    assert "4 pairs are too many" in refused(client.post("/score", json=four), 413)


def test_more_than_a_client_may_ask_is_refused_with_when_to_come_again(opened: Opened) -> None:
    client = opened(limits=Limits(rate=2.0))
    replies = [client.get("/search", params={"q": "a"}) for _ in range(12)]
    late = [reply for reply in replies if reply.status_code == 429]
    assert len(late) >= 6
    assert int(late[0].headers["retry-after"]) >= 1
    assert "more than 2 requests a second" in refused(late[0], 429)
    assert client.get("/health").status_code == 200


def test_what_takes_too_long_is_given_up(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setattr("exporters.serve.answering._scored", lambda bundle, asked: time.sleep(0.5))
    client = opened(limits=Limits(timeout=0.1))
    reply = client.get("/score", params={"drug": "H0001", "disease": "T0001"})
    assert "no answer within 0.1 s" in refused(reply, 503)
    assert reply.headers["retry-after"] == "5"


def test_a_fault_of_the_service_tells_nothing_of_its_inside(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: Any, **named: Any) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr("exporters.serve.answering._ranked", broken)
    reply = opened().get("/rank", params={"disease": "asthma"})
    assert "the service is at fault" in refused(reply, 500)
    assert "secret" not in reply.text


def test_the_page_brings_everything_itself_under_a_strict_policy(client: TestClient) -> None:
    import re

    page = client.get("/")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    texts = [page.text, *(client.get(path).text for path in ("/page/app.js", "/page/style.css", "/page/icon.svg"))]
    for text in texts:
        assert set(re.findall(r"https?://[^\s\"'<>)]+", text)) <= {"http://www.w3.org/2000/svg"}
        assert "innerHTML" not in text
    assert not re.search(r"<[^>]+\s(style|on\w+)=", page.text)
    for path in re.findall(r'(?:src|href)="(/[^"]*)"', page.text):
        assert client.get(path).status_code == 200, path
    identifiers = set(re.findall(r'\$\("([a-z-]+)"\)', texts[1]))
    assert identifiers <= set(re.findall(r'id="([a-z-]+)"', page.text))


def test_a_damaged_bundle_is_not_opened(bundle: Path, tmp_path: Path) -> None:
    broken = Path(shutil.copytree(bundle, tmp_path / "broken"))
    data = bytearray((broken / "embeddings.h5").read_bytes())
    data[len(data) // 2] ^= 1
    (broken / "embeddings.h5").write_bytes(data)
    with pytest.raises(UserError, match="SHA-256"):
        Shelf({"good": bundle, "bad": broken})
