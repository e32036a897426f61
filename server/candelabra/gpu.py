"""GPU readings through NVML, where there is a GPU and the `gpu` extra is installed."""

from __future__ import annotations

import logging
from types import ModuleType
from typing import Any

from candelabra.metrics import Metrics

LOG = logging.getLogger("candelabra.gpu")


def _nvml() -> ModuleType | None:
    try:
        import pynvml  # the `gpu` extra: nvidia-ml-py

        pynvml.nvmlInit()
    except Exception as error:
        LOG.debug("no GPU readings", extra={"why": repr(error)})
        return None
    found: ModuleType = pynvml
    return found


class GpuWatch:
    """Call `read` now and then; it does nothing on a machine without a GPU."""

    def __init__(self, metrics: Metrics) -> None:
        self.metrics = metrics
        self.nvml = _nvml()
        self.devices: list[Any] = []
        if self.nvml:
            count = self.nvml.nvmlDeviceGetCount()
            self.devices = [self.nvml.nvmlDeviceGetHandleByIndex(index) for index in range(count)]

    def read(self) -> None:
        if not self.nvml:
            return
        for index, device in enumerate(self.devices):
            gpu = str(index)
            memory = self.nvml.nvmlDeviceGetMemoryInfo(device)
            self.metrics.gpu_memory_used.labels(gpu).set(memory.used)
            self.metrics.gpu_memory_total.labels(gpu).set(memory.total)
            busy = self.nvml.nvmlDeviceGetUtilizationRates(device).gpu
            self.metrics.gpu_utilization.labels(gpu).set(busy / 100)
            celsius = self.nvml.nvmlDeviceGetTemperature(device, self.nvml.NVML_TEMPERATURE_GPU)
            self.metrics.gpu_temperature.labels(gpu).set(celsius)
            self.metrics.gpu_power.labels(gpu).set(self.nvml.nvmlDeviceGetPowerUsage(device) / 1000)
