"""The bundle's README: what the model is, what it learnt from, how well it does, what it is for and what it is not."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from exporters.manifest import EMBEDDINGS, PARTS, RANKING_HEAD, SCORING_HEAD, hdf5_name
from exporters.parity import Check
from exporters.trained_run import TrainedRun
from flykd_console.runs.results import Results, Scores, Spread

_TITLES = {"teacher": "teacher", "baseline": "baseline student", "student": "distilled student"}
_SPLITS = {
    "complex_disease": "complex_disease: tails of the test part have no scored edge in training (zero-shot)",
    "random": "random: edges of every relation are divided at random",
    "disease_area": "disease_area: tails of one area have no edge to the head type in training (zero-shot)",
    "disease": "disease: named tails have no edge to the head type in training (zero-shot)",
    "full_graph": "full_graph: 95 % of every relation trains and 5 % validates; nothing is kept back for a test",
    "files": "files: the parts were given",
}
_MADE_UP = ("embedded", "synthetic")


def write_card(
    run: TrainedRun, seed_choice: str, checks: Sequence[Check], example: tuple[str, str], with_heads: bool
) -> str:
    """The card as Markdown.

    Args:
        seed_choice: Why this seed was exported.
        checks: What was verified.
        example: A relation and the name of a tail to show in the code.
        with_heads: Whether the bundle holds the ONNX heads.
    """
    parts = [
        f"# {_text(run.results.method)}: {_TITLES[run.model]}, {_size(run)}",
        _summary(run, seed_choice),
        "## How to use it",
        _usage(run, example) if with_heads else _tables_only(run),
        "## What it learnt from",
        _data(run),
        "## How well it does",
        _metrics(run),
        "## What it is for, and what it is not",
        _limits(run),
        "## What is in the folder",
        _files(run, with_heads),
        "## What was verified",
        "\n".join(f"- {check.name}: {check.detail}" for check in checks),
    ]
    return "\n\n".join(parts) + "\n"


def _summary(run: TrainedRun, seed_choice: str) -> str:
    relations = ", ".join(f"`{relation}`" for relation in run.relations)
    return (
        f"Scores pairs of {_text(run.head_type)} and {_text(run.tail_type)} under {relations} with DistMult over "
        f"embeddings of a relational graph network (R-GCN).\n\n"
        f"Exported from the run `{run.directory.name}`, seed {run.seed} ({seed_choice})."
    )


def _usage(run: TrainedRun, example: tuple[str, str]) -> str:
    relation, name = example
    return (
        "With the `exporters` package of flykd-console, numpy, h5py and onnxruntime; run it in this folder:\n\n"
        "```python\n"
        "from exporters.scorer import Scorer\n\n"
        'scorer = Scorer(".")\n'
        f"for one in scorer.rank_heads({_quoted(name)}, relation={_quoted(relation)}, top=5):\n"
        "    print(one.rank, one.name, one.probability, one.known)\n"
        "```\n\n"
        "With h5py and onnxruntime alone:\n\n"
        "```python\n"
        "import h5py, numpy as np, onnxruntime\n\n"
        f'file, head = h5py.File("{EMBEDDINGS}"), onnxruntime.InferenceSession("{SCORING_HEAD}")\n'
        f"{_table_lines(run, relation)}"
        f'pair = {{"head": heads[:1], "relation": np.array([{run.relations.index(relation)}]), "tail": tails[:1]}}\n'
        'logit, probability = head.run(["logit", "probability"], pair)\n'
        "```"
    )


def _tables_only(run: TrainedRun) -> str:
    return (
        "The bundle holds tables only. The logit of a pair is the sum of head x relation x tail over d:\n\n"
        "```python\n"
        "import h5py, numpy as np\n\n"
        f'file = h5py.File("{EMBEDDINGS}")\n'
        f"{_table_lines(run, run.relations[0])}"
        f'vector = file["relations"][{_quoted(hdf5_name(run.relations[0]))}]["vector"][:]\n'
        "logits = heads[:1] * vector @ tails[:1].T\n"
        "```"
    )


def _table_lines(run: TrainedRun, relation: str) -> str:
    return (
        f'heads = file["nodes"][{_quoted(hdf5_name(run.head_type))}]["embedding"]\n'
        f'own = file["relations"][{_quoted(hdf5_name(relation))}]\n'
        f'other = file["nodes"][{_quoted(hdf5_name(run.tail_type))}]\n'
        'tails = own["tail_embedding"] if "tail_embedding" in own else other["embedding"]\n'
    )


def _data(run: TrainedRun) -> str:
    graph = run.graph
    lines = [f"- Graph: {_text(graph['source'])}, fingerprint `{graph['fingerprint'] or 'not recorded'}`"]
    if graph.get("nodes") and graph.get("edges"):
        lines.append(f"- {graph['nodes']} nodes and {graph['edges']} edges, each counted once")
    lines += [f"- {len(table.ids)} nodes of type {_text(kind)} are scored" for kind, table in run.nodes.items()]
    kind = run.profile.get("split", {}).get("kind", "")
    lines.append(f"- Split: {_SPLITS.get(kind, kind or 'not recorded')}")
    rows = [[relation, *(len(run.pairs[relation][part]) for part in PARTS)] for relation in run.relations]
    return "\n".join(lines) + "\n\n" + _table(["true pairs", *PARTS], rows)


def _size(run: TrainedRun) -> str:
    """The width, and the layers where they are not the paper's two rgcn layers."""
    result = run.result
    if result.shape == str(result.dim):
        return f"{run.dim} dimensions"
    return f"{run.dim} dimensions, {result.layers} {result.layer_kind} layer{'s' if result.layers > 1 else ''}"


def _metrics(run: TrainedRun) -> str:
    models = run.results.seeds[str(run.seed)]
    if run.result.test.macro_auprc is None:
        return (
            "The run has no test part: what this model is worth on unseen pairs was not measured. Macro AUPRC on "
            f"validation pairs: {_percent(run.result.validation.macro_auprc)}."
        )
    rows = []
    for model, title in _TITLES.items():
        if model in models:
            test = models[model].test
            cells = [_score(test, relation) for relation in run.relations]
            name = f"**{title}** (this one)" if model == run.model else title
            rows.append([name, models[model].shape, models[model].parameters, _percent(test.macro_auprc), *cells])
    text = (
        "Area under the precision-recall curve (average precision) in per cent, test pairs against as many stored "
        f"negatives, seed {run.seed}. Guessing scores 50.\n\n"
        f"{_table(['model', 'dim', 'parameters', 'macro AUPRC', *run.relations], rows)}\n\n"
        f"Macro AUROC of this model on the test pairs: {_percent(run.result.test.macro_auroc)}; "
        f"macro AUPRC on validation pairs: {_percent(run.result.validation.macro_auprc)}."
    )
    over_seeds = _over_seeds(run.results)
    return f"{text}\n\n{over_seeds}" if over_seeds else text


def _over_seeds(results: Results) -> str:
    """Means and deviations of a run of several seeds; empty where there are none."""
    summary = results.summary
    lines = [
        f"- {title}: macro AUPRC {_spread(summary[m].macro_auprc, 100)}" for m, title in _TITLES.items() if m in summary
    ]
    if len(results.seeds) < 2 or not lines:
        return ""
    if "student" in summary and summary["student"].gain_points:
        lines.append(
            f"- gain of the distilled student over the baseline: {_spread(summary['student'].gain_points)} in points, "
            f"{_spread(summary['student'].gain_percent)} in per cent of it"
        )
    return f"Over the {len(results.seeds)} seeds of the run, mean ± deviation:\n\n" + "\n".join(lines)


def _limits(run: TrainedRun) -> str:
    lines = []
    if run.graph["source"].split(":")[0] in _MADE_UP:
        lines.append(
            "- **The graph is made up.** Names and relations in it mean nothing in medicine; use it to try things out."
        )
    lines += [
        f"- For research: to rank {_text(run.head_type)} candidates for a {_text(run.tail_type)}, or the other way "
        "round, for people to examine. It is no medical device and gives no medical advice.",
        "- A probability is the sigmoid of a logit, learnt with as many random negatives as true pairs. It orders "
        "candidates; it is not the chance that a pair is true.",
        "- It knows only the nodes in these tables, and repeats its graph's biases: what is studied much ranks high.",
        "- A node without edges in training has an embedding that says little.",
    ]
    return "\n".join(lines)


def _files(run: TrainedRun, with_heads: bool) -> str:
    lines = [f"- `{EMBEDDINGS}`: ids, names, embeddings, relation vectors, true pairs by part, and the test set"]
    if with_heads:
        lines += [
            f"- `{SCORING_HEAD}`: head, relation index and tail in, logit and probability out; any number of pairs",
            f"- `{RANKING_HEAD}`: one embedding, relation index, candidates and k in; the best k out, best first",
        ]
    lines.append("- `manifest.json`: schema version, provenance, and the SHA-256 of each file")
    indices = ", ".join(f"{index} = {relation}" for index, relation in enumerate(run.relations))
    return "\n".join(lines) + f"\n\nRelation indices: {indices}."


def _table(header: Sequence[Any], rows: Sequence[Sequence[Any]]) -> str:
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(_text(cell) for cell in row)} |" for row in (header, rule, *rows))


def _text(value: Any) -> str:
    """A value as running text or a table cell: bars and line breaks would end the cell."""
    return " ".join(str(value).replace("|", "\\|").split())


def _quoted(text: str) -> str:
    """A string as Python and JSON both write it."""
    return json.dumps(text, ensure_ascii=False)


def _score(scores: Scores, relation: str) -> str:
    return _percent(scores.relations[relation].auprc) if relation in scores.relations else "not measured"


def _percent(value: float | None) -> str:
    return "not measured" if value is None else f"{100 * value:.2f}"


def _spread(value: Spread | None, scale: float = 1.0) -> str:
    if value is None:
        return "not measured"
    mean = f"{scale * value.mean:.2f}"
    return mean if value.std is None else f"{mean} ± {scale * value.std:.2f}"
