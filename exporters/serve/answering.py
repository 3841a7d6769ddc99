"""From a request's fields to its answer, with a bundle; refusals say whose fault they are."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import fields
from functools import partial
from typing import TypeVar

from exporters.answers import Order, Ranked, ScoredPair
from exporters.lookup import NodeIndex
from exporters.serve.asked import Ends, PairsAsked, ProfileAsked, RankAsked, SearchAsked
from exporters.serve.name_search import WAYS
from exporters.serve.problems import of_user_error, refusal, user_errors_as
from exporters.serve.profile_answers import lists_of_profile
from exporters.serve.replies import (
    Found,
    ProfileReply,
    RankedList,
    RankedRow,
    RankReply,
    ScoreReply,
    SearchReply,
    base_rate_of,
    node_of,
    provenance_of,
)
from exporters.serve.settings import Limits
from exporters.serve.shelf import OpenBundle, Shelf
from exporters.serve.slow_work import SlowWork
from flykd_console.errors import UserError

Answer = TypeVar("Answer")

_FIELDS = [one.name for one in fields(Ranked)]
# Bad pairs of a list that are named.
_SHOWN = 5


class Answering:
    """Args: the bundles, what runs beside the loop, and how much is taken on."""

    def __init__(self, shelf: Shelf, slow: SlowWork, limits: Limits) -> None:
        self._shelf, self._slow, self._limits = shelf, slow, limits

    def bundle(self, name: str | None) -> OpenBundle:
        """The one that is meant.

        Raises:
            RefusedError: There is none of that name.
        """
        try:
            return self._shelf.get(name)
        except UserError as error:
            raise of_user_error(404, error) from None

    async def rank(self, asked: RankAsked) -> RankReply:
        """The lists of a node."""
        bundle = self.bundle(asked.bundle)
        self._check(asked)
        ends = _by_side(bundle, asked)
        if len(ends) != 1:
            raise refusal(400, "a list is of one node", "", "Give disease or drug.")
        ((side, text),) = ends.items()
        relations = _relations(bundle, asked.relation)
        row = await self._row(bundle, side, text)
        if asked.through is not None:
            # A name that is misspelt is looked for among all of a third type.
            await self._slow.run(partial(_looked_up, bundle, partial(bundle.scorer.waypoint, asked.through)))
        work = partial(_ranked, bundle, side, row, relations, asked)
        # Others would wait for the matrix of a correction, and for the rows of long lists.
        takes_long = asked.adjust or asked.top * len(relations) > self._limits.in_loop
        return await self._slow.run(work) if takes_long else work()

    async def profile(self, asked: ProfileAsked) -> ProfileReply:
        """The lists of a node that is not in the graph."""
        bundle = self.bundle(asked.bundle)
        self._check(asked)
        relations = _relations(bundle, asked.relation)
        return await self._slow.run(partial(lists_of_profile, bundle, relations, asked))

    async def score(self, asked: PairsAsked) -> ScoreReply:
        """The scores of a list."""
        if len(asked.pairs) > self._limits.batch:
            raise refusal(
                413, f"{len(asked.pairs)} pairs are too many", "pairs", f"Ask for {self._limits.batch} or fewer."
            )
        bundle = self.bundle(asked.bundle)
        return await self._slow.run(partial(_scored, bundle, asked))

    def search(self, asked: SearchAsked) -> SearchReply:
        """The nodes that may be meant."""
        bundle = self.bundle(asked.bundle)
        sides: tuple[str, ...] = ("tail", "head")
        if asked.type is not None:
            with _refused(404, bundle):
                sides = (bundle.scorer.side_of(asked.type),)
        found = []
        for side in sides:
            nodes = _nodes(bundle, side)
            for one in bundle.search[side].find(asked.q, asked.limit):
                row = one.row
                found.append(Found(nodes.node_type, row, nodes.ids[row], nodes.names[row], one.way))
        # Of two types the likelier ways first; within one as each was found.
        found.sort(key=lambda one: WAYS.index(one.match))
        return SearchReply(found[: asked.limit])

    def _check(self, asked: RankAsked | ProfileAsked) -> None:
        """Refuse what no bundle can answer."""
        if asked.top > self._limits.batch:
            raise refusal(400, f"{asked.top} rows are too many", "top", f"Ask for {self._limits.batch} or fewer.")
        if asked.beyond is not None and asked.adjust:
            raise refusal(400, "beyond and adjust are two orders", "", "Choose one.")

    async def _row(self, bundle: OpenBundle, side: str, text: str) -> int:
        """The row of a node; looking for near names takes a while and is done beside the loop."""
        nodes = _nodes(bundle, side)
        row = nodes.known(text)
        if row is None:
            row = await self._slow.run(partial(_looked_up, bundle, partial(nodes.find, text)))
        return row


def _nodes(bundle: OpenBundle, side: str) -> NodeIndex:
    return bundle.scorer.heads if side == "head" else bundle.scorer.tails


def _by_side(bundle: OpenBundle, ends: Ends) -> dict[str, str]:
    """What is named at each side."""
    found: dict[str, str] = {}
    for name in ("disease", "drug", "tail", "head"):
        text = getattr(ends, name)
        if text is None:
            continue
        side = name
        if name in ("disease", "drug"):
            with _refused(400, bundle):
                side = bundle.scorer.side_of(name)
        if side in found:
            raise refusal(400, "one end is named twice", name, "Give it once.")
        found[side] = text
    return found


def _relations(bundle: OpenBundle, name: str | None) -> tuple[str, ...]:
    if name is None:
        return bundle.scorer.relations
    with _refused(404, bundle):
        return (bundle.scorer.relation(name),)


def _looked_up(bundle: OpenBundle, find: Callable[[], Answer]) -> Answer:
    with _refused(404, bundle):
        return find()


def _refused(status: int, bundle: OpenBundle) -> AbstractContextManager[None]:
    return user_errors_as(status, bundle.path, bundle.name)


def _ranked(bundle: OpenBundle, side: str, row: int, relations: tuple[str, ...], asked: RankAsked) -> RankReply:
    scorer = bundle.scorer
    order: Order = {"beyond": asked.beyond, "adjust": asked.adjust, "through": asked.through}
    rank = scorer.rank_tails if side == "head" else scorer.rank_heads
    other = "tail" if side == "head" else "head"
    lists = []
    with _refused(400, bundle):
        for name in relations:
            rows = rank(row, name, asked.top, asked.exclude_known, **order)
            # A row without reasons is written as it is: it has every field that is always there.
            told = [_with_reasons(bundle, side, row, one) for one in rows] if asked.reasons else rows
            left_out = bundle.left_out[other, name]
            rate = base_rate_of(scorer.manifest, name)
            lists.append(RankedList(name, scorer.is_calibrated(name), rate, left_out, told))  # type: ignore[arg-type]
    return RankReply(provenance_of(bundle), node_of(_nodes(bundle, side), row), _nodes(bundle, other).node_type, lists)


def _with_reasons(bundle: OpenBundle, side: str, row: int, one: Ranked) -> RankedRow:
    head, tail = (row, one.index) if side == "head" else (one.index, row)
    why = bundle.reasons.of(one.relation, head, tail)
    return RankedRow(**{name: getattr(one, name) for name in _FIELDS}, why=why)


def _scored(bundle: OpenBundle, asked: PairsAsked) -> ScoreReply:
    scorer = bundle.scorer
    listed: list[tuple[int, int, str]] = []
    wrong: list[str] = []
    for place, pair in enumerate(asked.pairs, start=1):
        ends = _by_side(bundle, pair)
        if len(ends) != 2:
            raise refusal(400, "a pair has two ends", f"pair {place}", "Give disease and drug.")
        relations = _relations(bundle, pair.relation or asked.relation)
        try:
            # Near names are looked for where they are shown.
            head, tail = (_find(_nodes(bundle, side), ends[side], len(wrong) < _SHOWN) for side in ("head", "tail"))
        except UserError as error:
            hint = f" ({error.hint.rstrip('.')})" if error.hint else ""
            wrong.append(f"pair {place}: {error.title}{hint}")
            continue
        listed += [(head, tail, name) for name in relations]
    if wrong and not asked.skip_unknown:
        more = f"; and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        hint = "Mend these pairs, or ask with skip_unknown."
        raise refusal(404, f"pairs cannot be scored: {'; '.join(wrong[:_SHOWN])}{more}", "", hint)
    answers: dict[int, ScoredPair] = {}
    with _refused(400, bundle):
        # One call a relation; the answers go back to the order of the list.
        for name in dict.fromkeys(name for _, _, name in listed):
            places = [place for place, (_, _, other) in enumerate(listed) if other == name]
            scored = scorer.score_pairs([(listed[place][0], listed[place][1]) for place in places], name)
            answers.update(zip(places, scored, strict=True))
    return ScoreReply(provenance_of(bundle), [answers[place] for place in range(len(listed))], wrong)


def _find(nodes: NodeIndex, text: str, with_near: bool) -> int:
    row = nodes.known(text)
    if row is not None:
        return row
    if with_near:
        return nodes.find(text)
    raise UserError(f"there is no {nodes.node_type} {text.strip()!r}")
