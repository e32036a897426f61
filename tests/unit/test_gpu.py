"""GPU readings, from a library that is only pretended."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import pytest

from candelabra.gpu import GpuWatch
from candelabra.metrics import Metrics


def pretended() -> ModuleType:
    nvml = ModuleType("pynvml")
    nvml.nvmlInit = lambda: None  # type: ignore[attr-defined]
    nvml.nvmlDeviceGetCount = lambda: 2  # type: ignore[attr-defined]
    nvml.nvmlDeviceGetHandleByIndex = lambda index: 10 * (index + 1)  # type: ignore[attr-defined]
    nvml.nvmlDeviceGetMemoryInfo = lambda device: SimpleNamespace(used=device, total=100)  # type: ignore[attr-defined]
    nvml.nvmlDeviceGetUtilizationRates = lambda device: SimpleNamespace(gpu=device)  # type: ignore[attr-defined]
    nvml.NVML_TEMPERATURE_GPU = 0  # type: ignore[attr-defined]
    nvml.nvmlDeviceGetTemperature = lambda device, _: 40 + device  # type: ignore[attr-defined]
    nvml.nvmlDeviceGetPowerUsage = lambda device: 1000 * device  # type: ignore[attr-defined]
    return nvml


def test_each_gpu_is_read_in_the_units_of_its_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", pretended())
    metrics = Metrics()
    GpuWatch(metrics).read()
    wanted = {
        "memory_used_bytes": 10,
        "memory_total_bytes": 100,
        "utilization_ratio": 0.1,
        "temperature_celsius": 50,
        "power_watts": 10,
    }
    for name, first in wanted.items():
        second = {"memory_total_bytes": 100, "temperature_celsius": 60}.get(name, 2 * first)
        found = [metrics.registry.get_sample_value(f"candelabra_gpu_{name}", {"gpu": gpu}) for gpu in ("0", "1", "2")]
        assert found == [first, second, None], name


@pytest.mark.parametrize("how", ["not installed", "no driver"])
def test_without_a_gpu_nothing_is_read_and_nothing_breaks(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    broken = pretended()

    def fail() -> None:
        raise RuntimeError("NVML shared library not found")

    broken.nvmlInit = fail  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pynvml", broken if how == "no driver" else None)
    watch = GpuWatch(Metrics())
    watch.read()
    assert watch.devices == []
