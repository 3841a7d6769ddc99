"""A comparison for other programs and for documents: Markdown, CSV in long form, JSON."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

import msgspec

from flykd_console.compare.figures import Block, Comparison, Gain, TailScore
from flykd_console.compare.grid import Grid
from flykd_console.compare.grids import block_heading, grids
from flykd_console.plain_text import spreadsheet_cell
from flykd_console.runs.results import RANKING_METRICS

_COLUMNS = (
    "block",
    "model",
    "kind",
    "runs",
    "figure",
    "relation",
    "seed",
    "value",
    "std",
    "low",
    "high",
    "unit",
    "part",
)


def markdown(comparison: Comparison) -> str:
    """Headings, tables and notes; numbers go right."""
    lines = []
    for index, block in enumerate(comparison.blocks):
        lines += [f"## {_block_name(comparison, index)}{block_heading(comparison, index)}", ""]
        lines += [f"> {note}  " for note in block.notes] + [""] * bool(block.notes)
        for grid in grids(block):
            lines += [f"### {grid.title}", "", *_markdown_rows(grid), ""]
            lines += [grid.caption, ""] if grid.caption else []
    return "\n".join(lines)


def to_csv(comparison: Comparison) -> str:
    """One figure a row, unrounded, with its unit: AUPRC and ranking as fractions, gains in points and per cent.

    `seed` is empty for figures over all seeds. `std` is the sample deviation, `low` and `high` a 95 % interval.
    """
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for index, block in enumerate(comparison.blocks):
        for row in _long(block):
            cells = ("" if cell is None else spreadsheet_cell(cell) for cell in row)
            writer.writerow([index + 1, *cells, _unit(str(row[3])), block.part])
    return file.getvalue()


def _unit(figure: str) -> str:
    """The unit of a figure's value, deviation and interval; the paper does not tell that of its gains."""
    if figure in ("auprc", "paper auprc", "ap by tail", *RANKING_METRICS):
        return "fraction"
    if figure.startswith(("matrix heads", "matrix tails", "tails at distance")):
        return "nodes"
    if figure.startswith(("matrix ", "ap at distance")):
        return "fraction"
    if figure.startswith("paper "):
        return "points or per cent"
    if figure.endswith("sign-flip p"):
        return "probability"
    return "per cent" if figure.endswith("per cent") else "points"


def to_json(comparison: Comparison) -> str:
    """The records of `compare.figures`, with their field names."""
    return msgspec.json.format(msgspec.json.encode(comparison), indent=2).decode() + "\n"


def _block_name(comparison: Comparison, index: int) -> str:
    count = len(comparison.blocks)
    return f"{index + 1} of {count}, not comparable with the others: " if count > 1 else ""


def _markdown_rows(grid: Grid) -> Iterator[str]:
    def line(cells: list[str]) -> str:
        return f"| {' | '.join(cell.replace('|', chr(92) + '|').replace(chr(10), '<br>') for cell in cells)} |"

    yield line(grid.headings)
    yield line(["---", *["---:"] * (len(grid.headings) - 1)])
    yield from map(line, grid.rows)


def _long(block: Block) -> Iterator[list[object]]:
    for row in block.rows:
        model: list[object] = [row.label, row.model, " ".join(row.runs)]
        for seed, score in row.seeds.items():
            yield [*model, "auprc", "macro", seed, score.macro_auprc, None, None, None]
            for relation, auprc in score.relations.items():
                yield [*model, "auprc", relation, seed, auprc, None, None, None]
        yield [*model, "auprc", "macro", None, row.auprc.mean, row.auprc.std, None, None]
        for relation, spread in row.relations.items():
            yield [*model, "auprc", relation, None, spread.mean, spread.std, None, None]
        if row.paper and row.paper.mean is not None:
            yield [*model, "paper auprc", "macro", None, row.paper.mean, row.paper.std, None, None]
        for relation, metrics in row.ranking.items():
            for metric, spread in metrics.items():
                yield [*model, metric, relation, None, spread.mean, spread.std, None, None]
        for relation, cuts in row.matrix.items():
            for n, figures in cuts.items():
                for name, spread in figures.items():
                    yield [*model, f"matrix {name} at {n}", relation, None, spread.mean, spread.std, None, None]
        for relation, distances in row.by_distance.items():
            for name, scores in distances.items():
                yield [*model, f"ap at distance {name}", relation, None, scores.ap, None, None, None]
                yield [*model, f"tails at distance {name}", relation, None, scores.tails, None, None, None]
        if row.by_tail:
            yield from ([*model, *rest] for rest in _long_tail_score(row.by_tail, block.part))
        for name, gain in (("gain", row.gain), ("difference", row.rival)):
            if gain:
                yield from ([*model, *rest] for rest in _long_gain(name, gain, block.part))


def _long_tail_score(score: TailScore, part: str) -> Iterator[list[object]]:
    for seed, ap in score.seeds.items():
        yield ["ap by tail", "macro", seed, ap, None, None, None]
    yield ["ap by tail", "macro", None, score.ap.mean, score.ap.std, None, None]
    for relation, spread in score.relations.items():
        yield ["ap by tail", relation, None, spread.mean, spread.std, None, None]
    gains = [("ap gain", gain) for gain in [score.gain] if gain]
    gains += [("ap over heuristic", gain) for gain in score.heuristics]
    for name, gain in gains:
        over = f"over {gain.over}"
        for seed, points in gain.seeds.items():
            yield [f"{name} points", over, seed, points, None, None, None]
        intervals = {
            f"{part} tails": gain.over_tails,
            "seeds": gain.over_seeds,
            "seeds uncorrected": gain.over_seeds_uncorrected,
        }
        yield [f"{name} points", over, None, gain.points.mean, gain.points.std, None, None]
        for what, interval in intervals.items():
            if interval:
                mean, std = gain.points.mean, gain.points.std
                yield [f"{name} points, {what}", over, None, mean, std, interval.low, interval.high]
        if gain.sign_flip_p is not None:
            yield [f"{name} sign-flip p", over, None, gain.sign_flip_p, None, None, None]


def _long_gain(name: str, gain: Gain, part: str) -> Iterator[list[object]]:
    over = f"over {gain.over}"
    for seed, one in gain.seeds.items():
        pairs, tails = one.over_pairs, one.over_tails
        yield [f"{name} points, {part} pairs", over, seed, one.points, None, pairs.low, pairs.high]
        yield [f"{name} points, {part} tails", over, seed, one.points, None, tails.low, tails.high]
        yield [f"{name} per cent", over, seed, one.percent, None, None, None]
    intervals = {
        f"{part} pairs": gain.over_pairs,
        f"{part} tails": gain.over_tails,
        "seeds": gain.over_seeds,
        "seeds uncorrected": gain.over_seeds_uncorrected,
    }
    for what, interval in intervals.items():
        if interval:
            yield [f"{name} points, {what}", over, None, gain.points.mean, gain.points.std, interval.low, interval.high]
    yield [f"{name} per cent", over, None, gain.percent.mean, gain.percent.std, None, None]
    if gain.sign_flip_p is not None:
        yield [f"{name} sign-flip p", over, None, gain.sign_flip_p, None, None, None]
    if gain.paper:
        yield [f"paper {name}", over, None, gain.paper[0], gain.paper[1], None, None]
