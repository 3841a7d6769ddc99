"""What training uses, sampled by a thread off its path: CPU and memory by psutil, an NVIDIA GPU by NVML."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from flykd_console.runs.events import Resources
from flykd_console.runs.log import EventWriter


class ResourceSampler:
    """Writes a `resources` event every `interval` seconds between `start` and `stop`; `gpu` is NVML's UUID."""

    def __init__(self, events: EventWriter, gpu: str | None, interval: float = 1.0) -> None:
        self._events = events
        self._interval = max(1.0, interval)
        self._process = psutil.Process()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="resources", daemon=True)
        self._gpu = None if gpu is None else _open_gpu(gpu)

    def start(self) -> None:
        self._process.cpu_percent()
        psutil.cpu_percent()
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(timeout=5.0)

    def _run(self) -> None:
        while not self._stop.wait(self._interval):
            self._events.write(self.sample())

    def sample(self) -> Resources:
        """One reading; what cannot be read is None."""
        gpu = {} if self._gpu is None else _read_gpu(self._gpu)
        own, all_of_us = self._process.cpu_percent(), psutil.cpu_percent() * (psutil.cpu_count() or 1)
        return Resources(
            cpu=own,
            others=max(0.0, round(all_of_us - own, 1)),
            rss=self._process.memory_info().rss,
            memory_total=psutil.virtual_memory().total,
            **gpu,
        )


def reset_peak() -> None:
    """Begin a new peak of resident memory, where the kernel allows it."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_bytes() -> int | None:
    """Peak resident memory since `reset_peak`, in bytes; None where the kernel does not tell."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), None)


def _open_gpu(uuid: str) -> Any | None:
    import pynvml

    try:
        pynvml.nvmlInit()
        return pynvml.nvmlDeviceGetHandleByUUID(uuid)
    except pynvml.NVMLError:
        return None


def _read_gpu(handle: Any) -> dict[str, Any]:
    import pynvml

    readings: dict[str, Callable[[], float]] = {
        "gpu_utilisation": lambda: float(pynvml.nvmlDeviceGetUtilizationRates(handle).gpu),
        "gpu_memory": lambda: int(pynvml.nvmlDeviceGetMemoryInfo(handle).used),
        "gpu_memory_total": lambda: int(pynvml.nvmlDeviceGetMemoryInfo(handle).total),
        "gpu_temperature": lambda: float(pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU)),
        "gpu_power": lambda: pynvml.nvmlDeviceGetPowerUsage(handle) / 1000.0,
    }
    result = {}
    for name, read in readings.items():
        try:
            result[name] = read()
        except pynvml.NVMLError:
            continue
    return result
