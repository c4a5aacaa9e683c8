"""What the engine inside Temporal's SDK tells: its logs join ours, its metrics join /metrics.

The engine is not Python. Left alone it writes lines of its own to the console, and wants a port
of its own for metrics.
"""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Final

from prometheus_client import REGISTRY
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.registry import Collector
from temporalio.runtime import (
    BUFFERED_METRIC_KIND_COUNTER,
    BUFFERED_METRIC_KIND_GAUGE,
    BufferedMetricUpdate,
    LogForwardingConfig,
    LoggingConfig,
    MetricBuffer,
    MetricBufferDurationFormat,
    Runtime,
    TelemetryConfig,
    TelemetryFilter,
)

_BUFFER: Final = 50_000
_DRAIN_SECONDS: Final = 2.0
_Labels = tuple[tuple[str, str], ...]


def observe_engine() -> "EngineMetrics":
    """Route the engine's logs and metrics; call once, before the first client connects."""
    buffer = MetricBuffer(_BUFFER, MetricBufferDurationFormat.SECONDS)
    logging_config = LoggingConfig(
        filter=TelemetryFilter(core_level="WARN", other_level="ERROR"),
        forwarding=LogForwardingConfig(
            logging.getLogger("temporalio.engine"),
            append_target_to_name=False,
            prepend_target_on_message=False,
        ),
    )
    runtime = Runtime(telemetry=TelemetryConfig(logging=logging_config, metrics=buffer))
    Runtime.set_default(runtime, error_if_already_set=False)
    metrics = EngineMetrics(buffer)
    REGISTRY.register(metrics)
    return metrics


class EngineMetrics(Collector):
    """Sums up what the engine reports. Durations are in seconds."""

    def __init__(self, buffer: MetricBuffer) -> None:
        self._buffer = buffer
        self._described: dict[str, tuple[int, str]] = {}
        # Per metric and labels: the value, or a histogram's sum; and how many were observed.
        self._values: dict[str, dict[_Labels, tuple[float, int]]] = {}

    async def drain(self, stop: asyncio.Event) -> None:
        """Empty the buffer from time to time, until `stop`; a full one drops updates."""
        while not stop.is_set():
            self.take(self._buffer.retrieve_updates())
            with suppress(TimeoutError):
                async with asyncio.timeout(_DRAIN_SECONDS):
                    await stop.wait()

    def take(self, updates: Iterable[BufferedMetricUpdate]) -> None:
        """Add what happened to what is known."""
        for update in updates:
            metric = update.metric
            self._described[metric.name] = (metric.kind, metric.description or metric.name)
            labels = tuple(sorted((key, str(value)) for key, value in update.attributes.items()))
            series = self._values.setdefault(metric.name, {})
            before, count = series.get(labels, (0.0, 0))
            total = (
                update.value
                if metric.kind == BUFFERED_METRIC_KIND_GAUGE
                else (before + update.value)
            )
            series[labels] = (total, count + 1)

    def collect(self) -> Iterable[Metric]:
        self.take(self._buffer.retrieve_updates())
        for name, (kind, description) in self._described.items():
            series = self._values[name]
            names = sorted({key for labels in series for key, _ in labels})
            family = _family(name, kind, description, names)
            for labels, (value, count) in series.items():
                known = dict(labels)
                texts = [known.get(key, "") for key in names]
                if isinstance(family, SummaryMetricFamily):
                    family.add_metric(texts, count_value=count, sum_value=value)
                else:
                    family.add_metric(texts, value)
            yield family


def _family(
    name: str, kind: int, description: str, labels: Sequence[str]
) -> CounterMetricFamily | GaugeMetricFamily | SummaryMetricFamily:
    if kind == BUFFERED_METRIC_KIND_COUNTER:
        return CounterMetricFamily(name, description, labels=labels)
    if kind == BUFFERED_METRIC_KIND_GAUGE:
        return GaugeMetricFamily(name, description, labels=labels)
    return SummaryMetricFamily(name, description, labels=labels)
