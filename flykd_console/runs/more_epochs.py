"""`control/extend`: the order to give the stage in training more epochs, which names the stage that it was meant for.

    {"seed": 45, "stage": "student", "epochs": 500}

A number alone means whatever stage is in training when the order is read. The curriculum was planned for the profile's
epochs and keeps its last weights in those that are added; the plateau, which watches the last epochs of the plan, goes
on watching to the new end.
"""

from __future__ import annotations

from contextlib import suppress

import msgspec

from flykd_console.runs.directory import RunDirectory

MOST_EPOCHS = 1_000_000


class MoreEpochs(msgspec.Struct, frozen=True, kw_only=True):
    """`epochs` more for a stage of a seed; None: for the one in training."""

    epochs: int
    seed: int | None = None
    stage: str | None = None

    def is_meant_for(self, seed: int, stage: str) -> bool:
        """Whether the order speaks of this stage."""
        return self.seed in (None, seed) and self.stage in (None, stage)


def order_more_epochs(directory: RunDirectory, order: MoreEpochs) -> None:
    """Give the order; one that was not obeyed yet is replaced."""
    directory.order("extend", msgspec.json.encode(order))


def take_more_epochs(directory: RunDirectory) -> MoreEpochs | None:
    """Read the order and take it away.

    Returns:
        The order; None where it is gone, or is no number of epochs between 1 and a million.
    """
    path = directory.order_file("extend")
    taken = path.with_name("extend.taken")
    try:
        # Renamed first: an order that is given meanwhile is not lost.
        path.rename(taken)
        said = msgspec.json.decode(taken.read_bytes(), type=int | MoreEpochs)
    except (OSError, ValueError, RecursionError):
        return None
    finally:
        with suppress(OSError):
            taken.unlink(missing_ok=True)
    order = MoreEpochs(epochs=said) if isinstance(said, int) else said
    return order if 1 <= order.epochs <= MOST_EPOCHS else None
