"""A comparison as tables of text; they live where the dashboard can show them too."""

from flykd_console.dashboard.grids import (
    Grid,
    auprc_grids,
    block_heading,
    gain_grids,
    grids,
    interval_words,
    mean_gain_grid,
    ranking_grids,
    relations_grid,
    runs_grid,
    spread_words,
    worth_caption,
    worth_grid,
)

__all__ = [
    "Grid",
    "auprc_grids",
    "block_heading",
    "gain_grids",
    "grids",
    "interval_words",
    "mean_gain_grid",
    "ranking_grids",
    "relations_grid",
    "runs_grid",
    "spread_words",
    "worth_caption",
    "worth_grid",
]
