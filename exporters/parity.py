"""The checks that a bundle must pass before it gets its name: what lies on disk against what torch left in the run.

Each check is one small function that returns what it found in words, or raises `ParityError` with what differs and by
how much; how close is close enough stands in `exporters.agreement`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np
from numpy.typing import NDArray

from exporters import ensemble
from exporters.agreement import (
    AUPRC_TOLERANCE,
    LOGIT_TOLERANCE,
    Floats,
    ParityError,
    logit_tolerance,
    same_auprc,
    same_bits,
    same_logits,
    same_order,
    same_ranking,
    same_signature,
    tie_slack,
)
from exporters.calibration import Calibration
from exporters.hdf5 import shared_tail_tensor
from exporters.manifest import (
    EMBEDDINGS,
    PARTS,
    PROFILES,
    RANKING_HEAD,
    SCORING_HEAD,
    Manifest,
    hdf5_name,
    read_table,
    record,
    table_path,
    verify_files,
)
from exporters.metrics import average_precision
from exporters.onnx_head import metadata, ranking_signature, scoring_signature
from exporters.trained_run import TrainedRun
from flykd_console.errors import UserError

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

_NO_TEST = "no test part, so no figure to compare"
BATCHES = (1, 7, 4096)


@dataclass(frozen=True)
class Check:
    """A check that was passed: its name, and what it found."""

    name: str
    detail: str


@dataclass
class Candidate:
    """A bundle that has no name yet: its files, reopened from disk, beside the run that they came from.

    Attributes:
        calibration: Per relation what makes a probability of a logit.
        scoring: Session of `scoring_head.onnx`, None for a bundle of tables alone; `ranking` likewise.
    """

    folder: Path
    run: TrainedRun
    calibration: Mapping[str, Calibration]
    hdf5: h5py.File
    scoring: InferenceSession | None
    ranking: InferenceSession | None
    _tables: dict[str, Floats] = field(default_factory=dict)

    def head_table(self) -> Floats:
        """Head embeddings as they lie on disk, float32 [n_head, d]."""
        return self._table(f"nodes/{hdf5_name(self.run.head_type)}/embedding")

    def tail_table(self, relation: str) -> Floats:
        """Tail embeddings of a relation as they lie on disk, float32 [n_tail, d]."""
        return self._table(table_path(self.hdf5, relation, "tail", self.run.tail_type))

    def logits(self, relation: str, heads: NDArray[np.int64], tails: NDArray[np.int64]) -> Floats:
        """Logits of pairs from the bundle alone: by the ONNX head, or by numpy where there is none."""
        head, tail = self.head_table()[heads], self.tail_table(relation)[tails]
        if self.scoring is None:
            vector = self.hdf5[f"relations/{hdf5_name(relation)}/vector"][:]
            return np.asarray((head * vector * tail).sum(axis=1, dtype=np.float32))
        index = np.full(len(heads), self.run.relations.index(relation), dtype=np.int64)
        return np.asarray(self.scoring.run(["logit"], {"head": head, "relation": index, "tail": tail})[0])

    def compare(self, relation: str, heads: NDArray[np.int64], tails: NDArray[np.int64], expected: Floats) -> float:
        """The largest difference from the run's logits for these pairs, once values and order agree."""
        vector = self.run.tensors[f"relation/{relation}"]
        tolerance = logit_tolerance(self.head_table()[heads], vector, self.tail_table(relation)[tails])
        found = self.logits(relation, heads, tails)
        worst = same_logits(repr(relation), found, expected, tolerance)
        same_order(repr(relation), found, expected, tolerance)
        return worst

    def _table(self, name: str) -> Floats:
        if name not in self._tables:
            self._tables[name] = read_table(self.hdf5, name)
        return self._tables[name]


def check_signatures(candidate: Candidate) -> str:
    """Names, element types and shapes of every input and output of both graphs."""
    dim = candidate.run.dim
    pairs = ((candidate.scoring, scoring_signature(dim)), (candidate.ranking, ranking_signature(dim)))
    for session, (inputs, outputs) in pairs:
        if session is not None:
            same_signature("inputs", inputs, session.get_inputs())
            same_signature("outputs", outputs, session.get_outputs())
    return "scoring_head.onnx and ranking_head.onnx have their inputs and outputs; they take any number of pairs"


def check_metadata(candidate: Candidate) -> str:
    """Relation names, node types, schema and the hash of the tables, in both graphs."""
    run = candidate.run
    expected = metadata(run.relations, run.head_type, run.tail_type, record(candidate.folder / EMBEDDINGS).sha256)
    for name, session in ((SCORING_HEAD, candidate.scoring), (RANKING_HEAD, candidate.ranking)):
        found = {} if session is None else session.get_modelmeta().custom_metadata_map
        for key, value in expected.items():
            if found.get(key) != value:
                raise ParityError(f"{name} says {key} = {found.get(key)!r} where the bundle has {value!r}")
    return f"relations {', '.join(run.relations)}; both graphs name these tables by their SHA-256"


def check_tables(candidate: Candidate) -> str:
    """Every embedding on disk equals the run's bit for bit, and is finite; ids and names come back as they were."""
    run, values = candidate.run, 0
    for kind, nodes in run.nodes.items():
        group = candidate.hdf5[f"nodes/{hdf5_name(kind)}"]
        for name, expected in (("id", nodes.ids), ("name", nodes.names)):
            found = group[name].asstr()[:].tolist()
            if found != expected:
                row = next((i for i, (a, b) in enumerate(zip(found, expected, strict=False)) if a != b), len(found))
                raise ParityError(f"{name} {row} of {kind} reads back differently")
    tables = [("head.embedding", candidate.head_table())]
    tables += [(run.tail_tensor(relation), candidate.tail_table(relation)) for relation in run.relations]
    shared = shared_tail_tensor(run)
    if shared:
        tables.append((shared, read_table(candidate.hdf5, f"nodes/{hdf5_name(run.tail_type)}/embedding")))
    for relation in run.relations:
        tables.append((f"relation/{relation}", candidate.hdf5[f"relations/{hdf5_name(relation)}/vector"][:]))
    for tensor, found in tables:
        same_bits(tensor, found, run.tensors[tensor])
        values += found.size
    whose = "those of the mean" if run.members else "the run's"
    if run.dtype != "float32":
        whose += f" as {run.dtype} holds them,"
    return f"{values} values equal {whose} bit for bit, none of them infinite or missing"


def check_probe(candidate: Candidate) -> str:
    """Logits of the run's random pairs in batches of 1, 7 and 4096, and of no pair at all."""
    worst = 0.0
    for relation in candidate.run.relations:
        probe = candidate.run.probe(relation)
        if not len(probe.logit):
            raise ParityError(f"the run left no probe pairs for {relation!r}")
        for size in BATCHES:
            # A run with fewer probe pairs than the largest batch has them taken again.
            take = np.arange(size) % len(probe.logit)
            worst = max(worst, candidate.compare(relation, probe.head[take], probe.tail[take], probe.logit[take]))
        nothing = np.zeros(0, dtype=np.int64)
        if len(candidate.logits(relation, nothing, nothing)):
            raise ParityError(f"{relation!r}: an empty batch gives logits")
    return f"batches of {', '.join(map(str, BATCHES))} random pairs; largest difference {worst:.1e}"


def check_test_logits(candidate: Candidate) -> str:
    """Logits of every test pair against those stored with the run, and their order."""
    worst, count = 0.0, 0
    for relation, test in candidate.run.tests.items():
        worst = max(worst, candidate.compare(relation, test.head, test.tail, test.logit))
        count += len(test.logit)
    return f"{count} test pairs, values and order; largest difference {worst:.1e}"


def check_validation_logits(candidate: Candidate) -> str:
    """Logits of every validation pair, which probabilities are learnt from, against those stored with the run."""
    if candidate.run.validation is None:
        return "several seeds: each has its own" if candidate.run.members else "the run left none"
    worst, count = 0.0, 0
    for relation, pairs in candidate.run.validation.items():
        worst = max(worst, candidate.compare(relation, pairs.head, pairs.tail, pairs.logit))
        count += len(pairs.logit)
    return f"{count} validation pairs, values and order; largest difference {worst:.1e}"


def check_members(candidate: Candidate) -> str:
    """Every seed's tables against torch's logits for it; their mean is what the bundle is held against."""
    return ensemble.check_members(candidate.run)


def check_nearest(candidate: Candidate) -> str:
    """Nearest tails and connections read back as the run has them."""
    run, count = candidate.run, 0
    for relation, nearest in (run.nearest or {}).items():
        for name in ("indptr", "index", "similarity"):
            found = candidate.hdf5[f"relations/{hdf5_name(relation)}/nearest/{name}"][:]
            if not np.array_equal(found, getattr(nearest, name)):
                raise ParityError(f"{relation!r}: {name} of the nearest tails reads back differently")
        count += len(nearest.index)
    edges = 0
    for number, one in enumerate(run.connections or ()):
        group = candidate.hdf5[f"connections/{number}"]
        if not np.array_equal(group["x"][:], one.x) or not np.array_equal(group["y"][:], one.y):
            raise ParityError(f"edges of {one.x_type} and {one.y_type} read back differently")
        edges += len(one.x)
    return f"{count} similarities of tails and {edges} edges of third node types read back as the run has them"


def check_profiles(candidate: Candidate) -> str:
    """Edges of heads and tails and the nodes that they join them to read back as the run has them."""
    run, count = candidate.run, 0
    with h5py.File(candidate.folder / PROFILES, "r") as file:
        for number, one in enumerate(run.profiles or ()):
            group = file[f"edges/{number}"]
            words = tuple(group.attrs[word] for word in ("head_type", "relation", "tail_type"))
            same = all(np.array_equal(group[end][:], getattr(one, end)) for end in ("head", "tail"))
            if words != one.edge_type or not same:
                raise ParityError(f"edges of {one.relation!r} read back differently")
            count += len(one.head)
        for kind in run.beside.keys() - run.third.keys():
            table, group = run.beside[kind], file[f"nodes/{hdf5_name(kind)}"]
            found = [group[name].asstr()[:].tolist() for name in ("id", "name")]
            if found != [table.ids, table.names]:
                raise ParityError(f"nodes of type {kind} read back differently")
    return f"{count} edges of {run.head_type} and {run.tail_type} read back as the run has them"


def check_probability(candidate: Candidate) -> str:
    """The scoring head's probabilities are the sigmoid of its calibrated logits."""
    assert candidate.scoring is not None
    worst = 0.0
    for index, relation in enumerate(candidate.run.relations):
        slope, intercept = candidate.calibration[relation].numbers
        probe = candidate.run.probe(relation)
        feed = {
            "head": candidate.head_table()[probe.head],
            "relation": np.full(len(probe.head), index, dtype=np.int64),
            "tail": candidate.tail_table(relation)[probe.tail],
        }
        logit, probability = candidate.scoring.run(["logit", "probability"], feed)
        log_odds = slope * np.asarray(logit, dtype=np.float64) + intercept
        expected = 0.5 * (1.0 + np.tanh(0.5 * log_odds))
        worst = max(worst, float(np.abs(np.asarray(probability) - expected).max(initial=0.0)))
        if not worst <= 1e-6:
            raise ParityError(f"{relation!r}: a probability is {worst:.1e} from the sigmoid of its calibrated logit")
    return f"the sigmoid of the calibrated logit; largest difference {worst:.1e}"


def check_ranking(candidate: Candidate) -> str:
    """The ranking head, both directions and several depths, against a full sort of the run's scores in float64."""
    assert candidate.ranking is not None
    run, lists = candidate.run, 0
    for place, relation in enumerate(run.relations):
        vector = run.tensors[f"relation/{relation}"].astype(np.float64)
        heads, tails = run.tensors["head.embedding"], run.tensors[run.tail_tensor(relation)]
        on_disk = (candidate.tail_table(relation), candidate.head_table())
        for queries, table, candidates in ((heads, tails, on_disk[0]), (tails, heads, on_disk[1])):
            for row in sorted({0, len(queries) // 2, len(queries) - 1}):
                weighted = queries[row] * vector
                scores = table @ weighted
                tolerance = LOGIT_TOLERANCE * (1.0 + np.abs(table) @ np.abs(weighted))
                for k in sorted({1, min(20, len(table)), len(table)}):
                    feed = {"query": queries[row], "relation": np.array(place), "candidates": candidates}
                    for excluded in (np.zeros(len(table), np.bool_), np.arange(len(table)) % 3 == 1):
                        feed |= {"excluded": excluded, "k": np.array([k])}
                        index, logit = map(np.asarray, candidate.ranking.run(["index", "logit"], feed))
                        among = np.flatnonzero(~excluded)
                        if len(index) != min(k, len(among)):
                            raise ParityError(f"{relation!r}: the best {k} of {len(among)} come back as {len(index)}")
                        if excluded[index].any():
                            raise ParityError(f"{relation!r}: a candidate that is left out is ranked")
                        places = np.searchsorted(among, index)
                        same_ranking(repr(relation), places, logit, scores[among], tolerance[among])
                        lists += 1
    return f"{lists} lists, for a head and for a tail, equal a full sort of the run's scores"


def check_known_pairs(candidate: Candidate) -> str:
    """The true pairs of every relation and part, and the test set, read back as the run has them."""
    count = 0
    for relation in candidate.run.relations:
        group = candidate.hdf5[f"relations/{hdf5_name(relation)}"]
        for part in PARTS:
            expected, found = candidate.run.pairs[relation][part], group[f"pairs/{part}"][:]
            if not np.array_equal(found, expected):
                raise ParityError(
                    f"{relation!r}: {len(found)} {part} pairs read back where the run has {len(expected)}"
                )
            count += len(found)
        for name in ("head", "tail", "label"):
            if not np.array_equal(group[f"test_set/{name}"][:], getattr(candidate.run.tests[relation], name)):
                raise ParityError(f"{relation!r}: {name} of the test set reads back differently")
    return f"{count} true pairs and the test set read back as the run has them"


def check_auprc(candidate: Candidate) -> str:
    """Test AUPRC per relation and macro, from the bundle alone, against the run's results."""
    run = candidate.run
    stated = run.result.test
    found: list[float] = []
    slacks: list[float] = []
    for relation, test in run.tests.items():
        if not len(test.label):
            continue
        figure = stated.relations[relation].auprc if relation in stated.relations else None
        if run.dtype != "float32":
            figure = average_precision(test.label, test.logit)
        same_auprc(f"{relation!r}: the run's own test scores", average_precision(test.label, test.logit), figure)
        stored = candidate.hdf5[f"relations/{hdf5_name(relation)}/test_set"]
        labels, logits = stored["label"][:], candidate.logits(relation, stored["head"][:], stored["tail"][:])
        slacks.append(tie_slack(labels, test.logit, logits))
        found.append(average_precision(labels, logits))
        same_auprc(f"{relation!r}: the bundle", found[-1], figure, slacks[-1])
    if not found:
        return "no test of its own: most test pairs are training pairs of other seeds" if run.members else _NO_TEST
    macro = float(np.mean(found))
    if run.dtype != "float32":
        whole = f"{100 * stated.macro_auprc:.2f} %" if stated.macro_auprc is not None else "not measured"
        return f"macro {100 * macro:.2f} % from the bundle alone, by tables of {run.dtype}; the run's own: {whole}"
    difference = same_auprc("macro: the bundle", macro, stated.macro_auprc, float(np.mean(slacks)))
    why = "" if difference <= AUPRC_TOLERANCE else ", by test pairs that tie but for rounding"
    return f"macro {100 * macro:.2f} % from the bundle alone; {difference:.1e} from the run's{why}"


def check_files(folder: Path, manifest: Manifest) -> str:
    """Sizes and SHA-256 of every file against the manifest as it was read back from disk."""
    verify_files(folder, manifest.files)
    return f"SHA-256 of {len(manifest.files)} files as the manifest lists them"


Checks = dict[str, Callable[[Candidate], str]]

TABLE_CHECKS: Checks = {
    "tables": check_tables,
    "known pairs": check_known_pairs,
    "neighbours": check_nearest,
    "random pairs": check_probe,
    "valid. pairs": check_validation_logits,
    "test pairs": check_test_logits,
    "test AUPRC": check_auprc,
}
GRAPH_CHECKS: Checks = {"graphs": check_signatures, "metadata": check_metadata}
HEAD_CHECKS: Checks = {"probabilities": check_probability, "ranking": check_ranking}


def verify(
    folder: Path,
    run: TrainedRun,
    calibration: Mapping[str, Calibration],
    with_heads: bool,
    passed: Callable[[Check], None],
) -> list[Check]:
    """Reopen the files of a bundle and run every check; `passed` hears of each as it succeeds.

    Raises:
        ParityError: A check failed; its message begins with the check's name.
    """
    scoring, ranking = (_session(folder / name) if with_heads else None for name in (SCORING_HEAD, RANKING_HEAD))
    with h5py.File(folder / EMBEDDINGS, "r", locking=False) as hdf5:
        candidate = Candidate(folder, run, calibration, hdf5, scoring, ranking)
        checks = GRAPH_CHECKS | TABLE_CHECKS | HEAD_CHECKS if with_heads else TABLE_CHECKS
        if run.members:
            checks = {"seeds": check_members} | checks
        if (folder / PROFILES).is_file():
            checks = checks | {"profiles": check_profiles}
        return run_checks({name: partial(check, candidate) for name, check in checks.items()}, passed)


def run_checks(checks: Mapping[str, Callable[[], str]], passed: Callable[[Check], None]) -> list[Check]:
    """Run checks by name, in order; `passed` hears of each as it succeeds.

    Raises:
        ParityError: A check failed; its message begins with the check's name.
    """
    done = []
    for name, check in checks.items():
        try:
            done.append(Check(name, check()))
        except (ParityError, UserError) as error:
            raise ParityError(f"{name}: {error}") from None
        except (KeyError, OSError) as error:
            raise ParityError(f"{name}: {EMBEDDINGS} does not read back ({error})") from error
        passed(done[-1])
    return done


def _session(path: Path) -> InferenceSession:
    import onnxruntime

    try:
        return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors share no base class of its own
        raise ParityError(f"graphs: {path.name} cannot be loaded ({error})") from error
