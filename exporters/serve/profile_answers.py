"""The lists of a node that is not in the graph, from its profile."""

from __future__ import annotations

from exporters.answers import Order
from exporters.node_profile import parse_profile
from exporters.opened_tables import other_side
from exporters.serve.asked import ProfileAsked
from exporters.serve.problems import user_errors_as
from exporters.serve.replies import ProfileReply, provenance_of
from exporters.serve.shelf import OpenBundle


def lists_of_profile(bundle: OpenBundle, relations: tuple[str, ...], asked: ProfileAsked) -> ProfileReply:
    """Place the node once, and rank for it under each relation.

    Raises:
        RefusedError: The profile is of another form (422), names what is not there (404), is like nothing, or the
            bundle holds no profiles (400).
    """
    scorer = bundle.scorer
    order: Order = {"beyond": asked.beyond, "adjust": asked.adjust, "through": asked.through}
    with user_errors_as(422, bundle.path, bundle.name):
        profile = parse_profile(asked.profile.model_dump(exclude_none=True))
    with user_errors_as(400, bundle.path, bundle.name):
        _ = scorer.profiles
    with user_errors_as(404, bundle.path, bundle.name):
        unseen = scorer.place(profile, skip_unknown=asked.skip_unknown)
    with user_errors_as(400, bundle.path, bundle.name):
        lists = [scorer.rank_unseen(unseen, name, asked.top, asked.exclude_known, **order) for name in relations]
    return ProfileReply(provenance_of(bundle), scorer.nodes(other_side(unseen.side)).node_type, lists)
