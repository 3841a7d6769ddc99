"""What the service counts, as Prometheus reads it (text format 0.0.4)."""

from __future__ import annotations

import os
import resource
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from exporters.serve.shelf import OpenBundle

# Upper bounds of the histogram, seconds.
BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Meter:
    """Counts of one service."""

    def __init__(self) -> None:
        self.begun = time.time()
        self.in_work = 0
        self.requests: Counter[tuple[str, int]] = Counter()
        self.refused: Counter[str] = Counter()
        self.renewals: Counter[tuple[str, str]] = Counter()
        self._times: dict[str, list[int]] = {}
        self._seconds: Counter[str] = Counter()

    def answered(self, route: str, status: int, seconds: float) -> None:
        """A request is over."""
        self.requests[route, status] += 1
        times = self._times.get(route)
        if times is None:
            times = self._times[route] = [0] * (len(BOUNDS) + 1)
        times[bisect_left(BOUNDS, seconds)] += 1
        self._seconds[route] += seconds  # type: ignore[assignment]

    def text(self, bundles: Iterable[OpenBundle]) -> str:
        """All counts."""
        return "\n".join(self._lines(list(bundles))) + "\n"

    def _lines(self, bundles: list[OpenBundle]) -> Iterator[str]:
        yield from _head("flykd_requests_total", "counter", "Answered requests.")
        for (route, status), count in sorted(self.requests.items()):
            yield f"flykd_requests_total{_labels({'route': route, 'status': str(status)})} {count}"
        yield from _head("flykd_request_seconds", "histogram", "From a request's headers to its answer.")
        for route, times in sorted(self._times.items()):
            total = 0
            for bound, count in zip((*map(str, BOUNDS), "+Inf"), times, strict=True):
                total += count
                yield f"flykd_request_seconds_bucket{_labels({'route': route, 'le': bound})} {total}"
            yield f"flykd_request_seconds_sum{_labels({'route': route})} {self._seconds[route]:.6f}"
            yield f"flykd_request_seconds_count{_labels({'route': route})} {total}"
        yield from _head("flykd_refused_total", "counter", "Requests turned away before they were read.")
        for reason, count in sorted(self.refused.items()):
            yield f"flykd_refused_total{_labels({'reason': reason})} {count}"
        yield from _head("flykd_requests_in_work", "gauge", "Requests being answered.")
        yield f"flykd_requests_in_work {self.in_work}"
        yield from _head("flykd_bundle_info", "gauge", "The bundles that are served.")
        for one in bundles:
            told = one.scorer.manifest
            labels = {"bundle": one.name, "run": told.run, "model": told.model, "method": told.method}
            yield f"flykd_bundle_info{_labels(labels)} 1"
        yield from _head("flykd_bundle_opened_timestamp_seconds", "gauge", "When a bundle was opened.")
        for one in bundles:
            yield f"flykd_bundle_opened_timestamp_seconds{_labels({'bundle': one.name})} {one.opened:.3f}"
        yield from _head("flykd_renewals_total", "counter", "Bundles that were opened anew, or refused.")
        for (name, outcome), count in sorted(self.renewals.items()):
            yield f"flykd_renewals_total{_labels({'bundle': name, 'outcome': outcome})} {count}"
        used = resource.getrusage(resource.RUSAGE_SELF)
        yield from _head("process_cpu_seconds_total", "counter", "Processor time of this process.")
        yield f"process_cpu_seconds_total {used.ru_utime + used.ru_stime:.3f}"
        yield from _head("process_resident_memory_bytes", "gauge", "Memory of this process.")
        yield f"process_resident_memory_bytes {resident_bytes()}"
        yield from _head("process_start_time_seconds", "gauge", "When the service was started.")
        yield f"process_start_time_seconds {self.begun:.3f}"


def resident_bytes() -> int:
    """Resident memory of this process, bytes; 0 where the system does not tell."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def _head(name: str, kind: str, words: str) -> Iterator[str]:
    yield f"# HELP {name} {words}"
    yield f"# TYPE {name} {kind}"


def _labels(values: Mapping[str, str]) -> str:
    """Label names with values, whose backslashes, quotes and line breaks are escaped."""
    told = []
    for name, value in values.items():
        escaped = value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
        told.append(f'{name}="{escaped}"')
    return "{" + ",".join(told) + "}"
