"""What requests ask for, field by field; a field that is not named here is refused, so that none is passed over."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[str, Field(min_length=1, max_length=500)]
NodeName = Annotated[
    Name | None, Field(description="Id, name or beginning of a name; other spellings of an id are understood.")
]
BundleName = Annotated[Name | None, Field(description="Which bundle; the first where none is named.")]
RelationName = Annotated[Name | None, Field(description="Which relation; every one of the bundle where none is named.")]
Beyond = Annotated[
    Literal["popularity", "neighbours"] | None,
    Field(description="Sort by how many times higher the model ranks than this rival does."),
]
Adjust = Annotated[bool, Field(description="Sort by the frequent-flyer correction of ranks.")]
# Ids may be whole numbers.
NodeId = Annotated[str, Field(min_length=1, max_length=4096)] | Annotated[int, Field(gt=-(10**18), lt=10**18)]


class Asked(BaseModel):
    """Fields of a request."""

    model_config = ConfigDict(extra="forbid")


class Ends(Asked):
    """One or both ends of a pair; `head` and `tail` are for bundles of other node types."""

    disease: NodeName = None
    drug: NodeName = None
    tail: NodeName = None
    head: NodeName = None


class RankAsked(Ends):
    """Whose list, and how."""

    relation: RelationName = None
    top: Annotated[int, Field(ge=1, description="How many a relation.")] = 20
    exclude_known: Annotated[bool, Field(description="Leave true pairs of the graph out.")] = False
    beyond: Beyond = None
    adjust: Adjust = False
    through: Annotated[
        Name | None,
        Field(description="Keep what is joined by this protein, pathway, phenotype: its id or name, or TYPE:NAME."),
    ] = None
    reasons: Annotated[bool, Field(description="Beside each row what speaks for the pair.")] = False
    bundle: BundleName = None


class PairAsked(Ends):
    """A pair: both ends, by one name each."""

    relation: RelationName = None
    bundle: BundleName = None


class ListedPair(Ends):
    """A pair of a list; a relation of its own goes before the list's."""

    relation: RelationName = None


class PairsAsked(Asked):
    """A list of pairs."""

    pairs: Annotated[list[ListedPair], Field(min_length=1)]
    relation: RelationName = None
    skip_unknown: Annotated[bool, Field(description="Leave pairs of unknown nodes out, and say which.")] = False
    bundle: BundleName = None


Nodes = Annotated[dict[str, list[NodeId]], Field(description="Ids or names of nodes.")]


class Profile(Asked):
    """What a node that is not in the graph would be joined to (`exporters.node_profile`)."""

    name: Annotated[Name | None, Field(description="What answers call it.")] = None
    type: Annotated[Name | None, Field(description="Its node type; that of a disease where none is named.")] = None
    edges: Annotated[Nodes, Field(description="By relation, or by the type of the nodes.")]
    known: Annotated[Nodes, Field(description="Nodes of the other side, by scored relation.")] = {}


class ProfileAsked(Asked):
    """The lists of a node that is not in the graph, and how."""

    profile: Profile
    relation: RelationName = None
    top: Annotated[int, Field(ge=1, description="How many a relation.")] = 20
    exclude_known: Annotated[bool, Field(description="Leave out what the profile says to be known.")] = False
    skip_unknown: Annotated[bool, Field(description="Leave nodes that the bundle does not know out.")] = False
    beyond: Beyond = None
    adjust: Adjust = False
    through: Annotated[Name | None, Field(description="Keep what is joined by this node of the profile.")] = None
    bundle: BundleName = None


class SearchAsked(Asked):
    """What somebody has typed so far."""

    q: Annotated[str, Field(max_length=500, description="A name or an id, or a part of it.")]
    type: Annotated[Name | None, Field(description="A node type; both where none is named.")] = None
    limit: Annotated[int, Field(ge=1, le=100)] = 10
    bundle: BundleName = None
