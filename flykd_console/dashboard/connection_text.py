"""What connects a pair, in words: direct edges, the nodes between by kind, and the similar diseases of the pooling."""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.text import Text

from flykd_console.dashboard.explore_table import KNOWN_SIGNS, known_style
from flykd_console.dashboard.palette import Look
from flykd_console.graph.connections import Connections, Path, PathGroup, SimilarTail
from flykd_console.words import clipped, grouped

_KNOWN_SHOWN = 3
_HELD_OUT = "held out"


@dataclass(frozen=True)
class ConnectionView:
    """What was found, cut to the width that it is drawn at: a scroll bar may have come in between."""

    found: Connections
    relation: str
    look: Look

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield connection_text(self.found, self.relation, self.look, max(20, options.max_width))


def connection_text(found: Connections, relation: str, look: Look, width: int) -> RenderableType:
    """Everything that was found, for a width in cells."""
    parts: list[Text] = [_ends(found, look), *_direct(found, look)]
    for group in found.groups:
        parts += _group(group, found, look, width)
    if not found.groups:
        parts.append(Text("\nNo node lies between the two, nor two that are joined.", style=look.muted))
    parts += _similar(found, relation, look, width)
    if found.groups:
        words = "\nedges: how many the nodes between have in all; a hub, with many, says little"
        parts.append(Text(words, style=look.muted))
    if any(path.part != "train" for group in found.groups for path in group.paths) or any(
        part != "train" for _, part in found.direct
    ):
        sign = KNOWN_SIGNS["test"]
        parts.append(Text(f"\n{sign} {_HELD_OUT}: an edge of it is kept for validation or test; no model has seen it.",
                          style=look.muted))  # fmt: skip
    return Group(*parts)


def _ends(found: Connections, look: Look) -> Text:
    return Text.assemble(
        (found.head.name, f"bold {look.foreground}"),
        ("  –  ", look.muted),
        (found.tail.name, f"bold {look.foreground}"),
    )  # fmt: skip


def _direct(found: Connections, look: Look) -> list[Text]:
    lines = []
    for relation, part in found.direct:
        words = "training edge" if part == "train" else f"edge held out for {part}"
        lines.append(
            Text.assemble((f"{KNOWN_SIGNS[part]} ", known_style(part, look)), (relation, f"bold {look.foreground}"),
                          (f", {words}", look.muted))
        )  # fmt: skip
    return lines


def _group(group: PathGroup, found: Connections, look: Look, width: int) -> list[Text]:
    kind = group.node_type.replace("gene/protein", "protein").replace("effect/phenotype", "phenotype")
    between = f"one {kind} between" if len(group.relations) == 2 else f"two joined {_plural(kind)} between"
    heading = Text.assemble(
        (f"\n{between}", f"bold {look.accent}"), (f"  {grouped(group.total)}", f"bold {look.foreground}"),
        (f", {grouped(group.held_out)} {_HELD_OUT}" if group.held_out else "", look.muted),
    )  # fmt: skip
    way = " – ".join([found.head.node_type, *_interleaved(group, kind), found.tail.node_type])
    lines = [heading, Text(clipped(f"  {way}", width), style=look.muted)]
    lines += [_path(path, look, width) for path in group.paths]
    rest = group.total - len(group.paths)
    if rest:
        lines.append(Text(f"  and {grouped(rest)} more", style=look.muted))
    return lines


def _plural(kind: str) -> str:
    return f"{kind}es" if kind.endswith("s") else f"{kind[:-1]}ies" if kind.endswith("y") else f"{kind}s"


def _interleaved(group: PathGroup, kind: str) -> list[str]:
    """`drug_protein`, `protein`, `disease_protein`: the relations with the nodes between them."""
    words = [group.relations[0]]
    for relation in group.relations[1:]:
        words += [kind, relation]
    return words


def _path(path: Path, look: Look, width: int) -> Text:
    seen = path.part == "train"
    names = " – ".join(node.name for node in path.nodes)
    end = f"  {grouped(path.degree)} edges" + ("" if seen else f"  {_HELD_OUT}")
    return Text.assemble(
        ("  • " if seen else f"  {KNOWN_SIGNS['test']} ", look.muted),
        (clipped(names, max(8, width - len(end) - 4)), look.foreground if seen else look.muted), (end, look.muted),
    )  # fmt: skip


def _similar(found: Connections, relation: str, look: Look, width: int) -> list[Text]:
    tail = found.tail.node_type
    if found.gate is None:
        return []
    if not found.similar:
        return [Text(f"\nNo {tail} with {relation} edges is like it: the pooling lends nothing.", style=look.muted)]
    lines = [
        Text.assemble(
            (f"\nsimilar {tail}s", f"bold {look.accent}"),
            (f"  lend {100 * found.gate:.0f} % of its embedding (pooling)", look.muted),
        )
    ]
    for similar in found.similar:
        lines += _one_similar(similar, found, look, width)
    return lines


def _one_similar(similar: SimilarTail, found: Connections, look: Look, width: int) -> list[Text]:
    share = f"{100 * similar.share:4.1f} %  "
    named = [node for node in similar.known if node.row != found.head.row][:_KNOWN_SHOWN]
    words = [f"{found.head.name} too"] if similar.has_head else []
    words += [node.name for node in named]
    rest = similar.known_total - len(words)
    if rest:
        words.append(f"and {grouped(rest)} more")
    line = Text.assemble(("  • ", look.muted), (share, look.foreground),
                         (clipped(similar.node.name, max(8, width - 14)), look.foreground))  # fmt: skip
    style = f"bold {known_style('train', look)}" if similar.has_head else look.muted
    sign = KNOWN_SIGNS["train"] if similar.has_head else " "
    return [line, Text(clipped(f"           {sign} {', '.join(words)}", width), style=style)]
