"""A difference of two bundles in words: Markdown, one HTML file that opens offline, and JSON."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import Any

from jinja2 import Environment, StrictUndefined

from exporters.diff import BundleDiff, Moved, RelationDiff, TailDiff

SCHEMA = 1
_SHOWN_TAILS = 50

_PAGE = """<!doctype html>
<html lang="en-GB">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{{ diff.a }} and {{ diff.b }}</title>
<style>
:root { --paper: #fdfcf9; --ink: #1d1b18; --muted: #6b665d; --grid: #dcd7cc; }
@media (prefers-color-scheme: dark) { :root { --paper: #16171a; --ink: #e9e6df; --muted: #a09b90; --grid: #34363b; } }
body { background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; max-width: 60rem;
  margin: 0 auto; padding: 1.5rem; overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; } caption { text-align: left; color: var(--muted); }
th, td { text-align: left; vertical-align: top; padding: .25rem .75rem .25rem 0; border-bottom: 1px solid var(--grid); }
.scroll { overflow-x: auto; } .note { color: var(--muted); }
</style>
</head>
<body>
<h1>Two bundles against each other</h1>
{% for line in opening %}<p>{{ line }}</p>
{% endfor %}
{% for relation in diff.relations %}
<h2>{{ relation.relation }}</h2>
<p>{{ told(relation) }}</p>
<div class="scroll"><table>
<thead><tr><th scope="col">{{ diff.tail_type }}</th><th scope="col">correlation</th><th scope="col">new</th>
<th scope="col">lost</th></tr></thead>
<tbody>
{% for tail in changed(relation) %}
<tr><th scope="row">{{ tail.tail_name }}<br><small>{{ tail.tail_id }}</small></th>
<td>{{ number(tail.correlation) }}</td>
<td>{% for one in tail.new %}{{ moved(one) }}<br>{% endfor %}</td>
<td>{% for one in tail.lost %}{{ moved(one) }}<br>{% endfor %}</td></tr>
{% endfor %}
</tbody></table></div>
{% endfor %}
</body>
</html>
"""


def to_json(diff: BundleDiff) -> str:
    """Everything, every tail; what is not finite as null."""
    return json.dumps(_finite({"schema": SCHEMA, **asdict(diff)}), indent=2, ensure_ascii=False) + "\n"


def to_markdown(diff: BundleDiff) -> str:
    """The summary, and the most changed tails of each relation."""
    lines = ["# Two bundles against each other", "", *(f"{line}\n" for line in opening(diff))]
    for relation in diff.relations:
        lines += [f"## {_cell(relation.relation)}", "", told(relation, diff), ""]
        tails = changed(relation)
        if tails:
            lines += [f"| {diff.tail_type} | correlation | new | lost |", "| --- | ---: | --- | --- |"]
        for tail in tails:
            new, lost = ("; ".join(map(moved, some)) or "–" for some in (tail.new, tail.lost))
            cells = (f"{tail.tail_name} ({tail.tail_id})", number(tail.correlation), new, lost)
            lines.append(f"| {' | '.join(map(_cell, cells))} |")
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def to_html(diff: BundleDiff) -> str:
    """The same as one page."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(_PAGE).render(
        diff=diff,
        opening=opening(diff),
        told=lambda relation: told(relation, diff),
        changed=changed,
        moved=moved,
        number=number,
    )


def opening(diff: BundleDiff) -> list[str]:
    """What is compared, a sentence each."""
    lines = [f"Before: {diff.a}. After: {diff.b}.", f"Both have {diff.heads} {diff.head_type} and {diff.tails} "
             f"{diff.tail_type} nodes; ranks are those among these."]  # fmt: skip
    for bundle, apart in ((diff.a, diff.only_a), (diff.b, diff.only_b)):
        for side, kind in (("head", diff.head_type), ("tail", diff.tail_type)):
            if apart[side]:
                lines.append(f"{len(apart[side])} {kind} nodes are in {bundle} alone, and left out.")
    if diff.relations_apart:
        lines.append(f"One bundle alone has {', '.join(diff.relations_apart)}.")
    return lines


def told(relation: RelationDiff, diff: BundleDiff) -> str:
    """A relation in two sentences."""
    if not relation.tails:
        return f"No {diff.tail_type} that both models know something of."
    new = sum(len(tail.new) for tail in relation.tails)
    shown = sum(bool(tail.new or tail.lost) for tail in relation.tails)
    more = f" The {_SHOWN_TAILS} most changed of {shown} are below." if shown > _SHOWN_TAILS else ""
    silent = f" {relation.silent} that a model knows nothing of are left out." if relation.silent else ""
    return (
        f"{len(relation.tails)} {diff.tail_type} nodes: mean correlation of ranks {number(relation.correlation)}, "
        f"{100 * relation.overlap:.1f} % of the first {diff.top} in common, {new} new entries.{silent}{more}"
    )


def changed(relation: RelationDiff) -> list[TailDiff]:
    """The tails whose first heads changed, the most changed first, as many as are shown."""
    return [tail for tail in relation.tails if tail.new or tail.lost][:_SHOWN_TAILS]


def moved(one: Moved) -> str:
    """A head's move in words."""
    before, after = one.known
    known = f", known: {before or 'no'} → {after or 'no'}" if before or after else ""
    why = f" ({'; '.join(one.why)})" if one.why else ""
    return f"{one.head_name} {one.before} → {one.after}{known}{why}"


def number(value: float) -> str:
    """Three decimals; a dash where there is none."""
    return f"{value:.3f}" if math.isfinite(value) else "–"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return value
