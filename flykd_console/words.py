"""How the program says things: stages, numbers, spans of time and sizes in words that fit a terminal."""

from __future__ import annotations

import math

THIN = "\u202f"  # narrow no-break space
DASH = "–"

_SHORT_LOSS_WORDS = {"original": "orig"}
_METRIC_WORDS = {
    "macro_auprc": "AUPRC", "macro_auroc": "AUROC", "micro_auprc": "pooled AUPRC", "micro_auroc": "pooled AUROC",
    "macro_auprc_head": "head AUPRC", "macro_auprc_head_degree": "head AUPRC by degree",
    "macro_ap": "AP", "macro_mrr": "MRR", "macro_hits_at_10": "hits@10", "macro_recall_at_10": "recall@10",
    "macro_recall_at_20": "recall@20", "macro_recall_at_50": "recall@50", "macro_recall_at_100": "recall@100",
    "macro_ranking_auroc": "ranking AUROC", "macro_tail_ap": "tail AP", "macro_tail_mrr": "tail MRR",
    "macro_tail_hits_at_10": "tail hits@10", "macro_tail_recall_at_10": "tail recall@10",
    "macro_tail_recall_at_20": "tail recall@20", "macro_tail_recall_at_50": "tail recall@50",
    "macro_tail_recall_at_100": "tail recall@100", "macro_tail_auroc": "tail AUROC", "accuracy": "accuracy",
}  # fmt: skip
_RELATION_WORDS = {"contraindication": "contra", "indication": "indic", "off-label use": "off-label"}


def loss_words(name: str) -> str:
    """A loss as the legend names it, where the log does not say."""
    return name.replace("_", " ")


def metric_words(metric: str) -> str:
    """A metric as tables and the log name it."""
    return _METRIC_WORDS.get(metric, metric.replace("_", " "))


def short_loss(name: str) -> str:
    """A loss in at most five letters, for the end of its curve, where the log does not say."""
    return _SHORT_LOSS_WORDS.get(name, name[:5])


def short_relation(name: str) -> str:
    """A relation in at most eight letters, for the head of a column."""
    return _RELATION_WORDS.get(name, name if len(name) <= 8 else name[:7] + "…")


def grouped(number: float) -> str:
    """1204 as 1 204, with narrow spaces."""
    return f"{number:,.0f}".replace(",", THIN)


def counted(number: int, noun: str) -> str:
    """`1 row`, `2 rows`."""
    return f"{grouped(number)} {noun}{'' if number == 1 else 's'}"


def per_cent(fraction: float | None, digits: int = 2) -> str:
    """0.7864 as 78.64."""
    if fraction is None or not math.isfinite(fraction):
        return DASH
    return f"{100 * fraction:.{digits}f}"


def signed(number: float | None, digits: int = 2) -> str:
    """1.16 as +1.16, with a real minus sign."""
    if number is None or not math.isfinite(number):
        return DASH
    return f"{number:+.{digits}f}".replace("-", "−")


def span(seconds: float | None) -> str:
    """190 as 3 m 10 s: two units at most."""
    if seconds is None or not math.isfinite(seconds):
        return DASH
    whole = max(0, round(seconds))
    days, rest = divmod(whole, 86_400)
    hours, rest = divmod(rest, 3_600)
    minutes, rest = divmod(rest, 60)
    if days:
        return f"{grouped(days)} d {hours} h"
    if hours:
        return f"{hours} h {minutes:02d} m"
    if minutes:
        return f"{minutes} m {rest:02d} s"
    return f"{rest} s"


def to_go(seconds: float | None) -> str:
    """A span that is left: no 0 s while there is something left."""
    return span(max(1.0, seconds)) if seconds else span(seconds)


def rate(per_second: float | None) -> str:
    """Epochs a second with about three digits; below one, seconds an epoch."""
    if per_second is None or not math.isfinite(per_second) or per_second <= 0:
        return DASH
    if per_second >= 100:
        return f"{grouped(per_second)} it/s"
    if per_second >= 10:
        return f"{per_second:.1f} it/s"
    if per_second >= 1:
        return f"{per_second:.2f} it/s"
    return f"{1 / per_second:.3g} s/it"


def size(count: float | None) -> str:
    """Bytes as MiB or GiB."""
    if count is None:
        return DASH
    gib = count / 2**30
    if gib >= 100:
        return f"{gib:.0f} GiB"
    if gib >= 1:
        return f"{gib:.2f} GiB"
    return f"{count / 2**20:.0f} MiB"


def loss(value: float, digits: int = 3) -> str:
    """A loss or a weight, short enough for a legend."""
    if not math.isfinite(value):
        return DASH
    if value != 0 and (abs(value) < max(1e-3, 0.5 * 10.0**-digits) or abs(value) >= 1e4):
        return f"{value:.1e}".replace("e-0", "e-").replace("e+0", "e+")
    return f"{value:.{digits}f}"


def significant(value: float, digits: int = 3) -> str:
    """0.002 as 0.002, 41.733 as 41.7, 1204 as 1 204: so many significant digits, whole numbers from 1000 on."""
    if not math.isfinite(value):
        return DASH
    if abs(value) >= 1000:
        return grouped(value)
    return f"{value:.{digits}g}".replace("e-0", "e-")


def clipped(text: str, width: int) -> str:
    """The text, or its beginning and an ellipsis where it is too long."""
    return text if len(text) <= width else text[: max(0, width - 1)] + "…"


def lowered(sentence: str) -> str:
    """A sentence as the rest of a line: with a small letter first and no full stop."""
    return sentence[:1].lower() + sentence[1:].rstrip(".")
