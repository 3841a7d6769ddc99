"""The run directory: where everything of one run stands, and the orders that it is given."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from flykd_console.runs.files import replace_file

ORDERS = ("pause", "stop", "checkpoint", "evaluate", "extend", "abort")

# Columns of Parquet files beside which models have columns of their names: no model may be called so.
KEY_COLUMNS = ("relation", "head_id", "tail_id", "label", "part", "true")


@dataclass(frozen=True)
class RunDirectory:
    """Paths of one run. Nothing is created or read by building one."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def profile(self) -> Path:
        return self.path / "profile.toml"

    @property
    def environment(self) -> Path:
        return self.path / "environment.json"

    @property
    def events(self) -> Path:
        return self.path / "events.jsonl"

    @property
    def results(self) -> Path:
        return self.path / "results.json"

    @property
    def nodes(self) -> Path:
        """Parquet: `type, index, id, name` of all nodes, index in the order of the embeddings' rows."""
        return self.path / "nodes.parquet"

    @property
    def connections(self) -> Path:
        """Parquet: `x_type, x, y_type, y` (indices of nodes): edges that tell what a head and a tail have in common."""
        return self.path / "connections.parquet"

    @property
    def sample_data(self) -> Path:
        """Of runs that tell classes, safetensors: the nodes or graphs, see `tasks/classification/files.py`."""
        return self.path / "samples.safetensors"

    @property
    def worker_log(self) -> Path:
        return self.path / "worker.log"

    @property
    def lock(self) -> Path:
        return self.path / "worker.lock"

    @property
    def queue(self) -> Path:
        """The batch that the run was started in, see `flykd_console.runs.batch`; absent for a run started alone."""
        return self.path / "queue.json"

    @property
    def added_seeds(self) -> Path:
        """Seeds that it was given after its first start, see `flykd_console.runs.more_seeds`; absent without any."""
        return self.path / "added-seeds.json"

    @property
    def export(self) -> Path:
        return self.path / "export"

    def seed(self, seed: int) -> Path:
        return self.path / f"seed-{seed}"

    def weights(self, seed: int, stage: str) -> Path:
        """Weights of a finished stage: `<stage>.safetensors` (pretraining stages too)."""
        return self.seed(seed) / f"{stage}.safetensors"

    def record(self, seed: int, stage: str) -> Path:
        """JSON beside the weights: their seal, and what no equal run would repeat: see `runs.stage_record`."""
        return self.seed(seed) / f"{stage}.json"

    def state(self, seed: int, stage: str) -> Path:
        """Resumable state of an unfinished stage."""
        return self.seed(seed) / f"{stage}.state"

    def older_state(self, seed: int, stage: str) -> Path:
        """The state saved before, for the case that the newer one is damaged."""
        return self.seed(seed) / f"{stage}.older.state"

    def embeddings(self, seed: int, model: str) -> Path:
        """Tables of heads and (unpooled) tails; per relation pooled tails, its vector and a probe of logits.

        Of runs that tell classes: logits and rows of every sample, and a probe.
        """
        return self.seed(seed) / f"{model}.embeddings.safetensors"

    def scores(self, seed: int, part: str) -> Path:
        """Parquet of a part, `validation` or `test`: `relation, head_id, tail_id, label` and each model's logits."""
        return self.seed(seed) / f"{part}-scores.parquet"

    def test_scores(self, seed: int) -> Path:
        """The scores of the test part."""
        return self.scores(seed, "test")

    def samples(self, seed: int, part: str) -> Path:
        """Parquet of a part, `validation` or `test`: `sample_id, label`, each model's log-probabilities by class."""
        return self.seed(seed) / f"{part}-samples.parquet"

    @property
    def tells_classes(self) -> bool:
        """Whether a finished seed of it left answers to samples, instead of scored pairs."""
        return any(self.path.glob("seed-*/*-samples.parquet"))

    def ranking(self, seed: int, part: str) -> Path:
        """Parquet of a part, `validation` or `test`: `relation, tail_id, true` (heads), each model's AP (float32)."""
        return self.seed(seed) / f"{part}-ranking.parquet"

    def top_pairs(self, seed: int, model: str) -> Path:
        """Parquet: `relation, head, tail, within`: new pairs that a model ranks first among all, and within which n.

        `head` and `tail` are indices as in `nodes`; sorted by relation, tail and head.
        """
        return self.seed(seed) / f"{model}.top-pairs.parquet"

    def evaluation_pairs(self, seed: int) -> Path:
        """Parquet: `part, relation, head_id, tail_id, label`: validation and test pairs with their stored negatives."""
        return self.seed(seed) / "evaluation-pairs.parquet"

    def labels(self, seed: int) -> Path:
        """Parquet: `relation, head_id, tail_id, part` (train, validation, test): every true pair of the targets."""
        return self.seed(seed) / "labels.parquet"

    def neighbours(self, seed: int) -> Path:
        """Parquet: `relation, tail, neighbour` (indices), `similarity`: each tail's most similar trained tails."""
        return self.seed(seed) / "neighbours.parquet"

    def profiles(self, seed: int) -> Path:
        """Parquet: `head_type, relation, tail_type, head, tail` (indices): training edges at scored nodes, no targets.

        What the graph says of a head or a tail besides its labels, by which nodes that it does not have are placed.
        """
        return self.seed(seed) / "profiles.parquet"

    def order_file(self, order: str) -> Path:
        return self.path / "control" / order

    def order(self, order: str, content: bytes = b"") -> None:
        """Give an order, one of `ORDERS`; the trainer acknowledges it by an event.

        Args:
            order: `stop` ends the run with a checkpoint, `abort` at once; `extend` adds epochs to the running stage.
            content: What the order says besides its name: see `flykd_console.runs.more_epochs` for `extend`.
        """
        if order not in ORDERS:
            raise ValueError(order)
        path = self.order_file(order)
        path.parent.mkdir(exist_ok=True)
        if content:
            replace_file(path, content)
        else:
            path.touch()

    def withdraw(self, order: str) -> None:
        """Take an order back; withdrawing `pause` lets training go on."""
        self.order_file(order).unlink(missing_ok=True)
