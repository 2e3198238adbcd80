"""`/metrics`: what an operator watches, in Prometheus' text format, put together when it is asked for.

What lives here: names, and where each number comes from. What must not: counting; every room counts its own, in plain
numbers, so that nothing on the path of a message knows who will look.
"""

from collections.abc import Iterator, Mapping

import attrs
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)

from actors.conversation.service import Conversations
from storage.histogram import Histogram
from transport.engineio.endpoint import Endpoint
from transport.refusals import Refusals

__all__ = ["Metrics"]


@attrs.frozen(eq=False)
class Metrics:
    """A collector in prometheus_client's sense, over the rooms' own numbers."""

    conversations: Conversations
    endpoint: Endpoint
    refusals: Refusals
    durability: str

    def render(self) -> tuple[str, bytes]:
        """Content type and text of one scrape; costs microseconds for each conversation in memory."""
        registry = CollectorRegistry()
        registry.register(self)
        return CONTENT_TYPE_LATEST, generate_latest(registry)

    def collect(self) -> Iterator[Metric]:
        """See prometheus_client."""
        found = self.conversations.statistics()
        registry, sessions = found.registry, self.endpoint.statistics()
        yield InfoMetricFamily(
            "greenroom_durability", "What an acknowledgement means.", value={"mode": self.durability}
        )
        yield _by_label(
            "greenroom_conversations",
            "Conversations by where they live.",
            "residency",
            {residency.value: count for residency, count in found.residency.items()},
        )
        yield GaugeMetricFamily("greenroom_run_times", "Open run-times.", found.run_times)
        yield GaugeMetricFamily("greenroom_mailbox_messages", "Commands that wait.", registry.waiting_messages)
        yield GaugeMetricFamily("greenroom_mailbox_bytes", "Bytes of commands that wait.", registry.waiting_bytes)
        yield GaugeMetricFamily(
            "greenroom_mailbox_oldest_seconds", "How long the oldest command waits.", registry.oldest_wait_seconds
        )
        yield _histogram("greenroom_append_seconds", "From an append to its durability.", found.appends)
        yield _histogram("greenroom_sync_seconds", "Syncs of one commit group.", found.syncs)
        yield _histogram("greenroom_replay_seconds", "Bringing a conversation to life from its log.", found.replays)
        yield GaugeMetricFamily(
            "greenroom_unsynced_seconds", "Age of the oldest write acknowledged and not synced.", found.owed_seconds
        )
        yield GaugeMetricFamily(
            "greenroom_storage_degraded", "1 while the disk takes no writes.", float(found.storage_degraded)
        )
        yield GaugeMetricFamily("greenroom_files_ailing", "Logs that alone take no writes.", found.files_ailing)
        yield CounterMetricFamily("greenroom_actor_restarts", "Actors restarted after a crash.", registry.restarts)
        yield _counter_by_label(
            "greenroom_dead_letters", "Commands that no actor will take.", "reason", registry.dead_letters
        )
        yield GaugeMetricFamily("greenroom_connections", "Engine.IO sessions.", sessions["sessions"])
        yield GaugeMetricFamily("greenroom_readers", "Clients that follow a conversation.", found.readers)
        yield GaugeMetricFamily(
            "greenroom_readers_behind", "Clients that read from the log at their own pace.", found.readers_behind
        )
        yield CounterMetricFamily(
            "greenroom_slow_readers_closed", "Connections ended as they took nothing.", sessions["slow_readers_closed"]
        )
        yield from self._limits()
        yield _counter_by_label("greenroom_refused", "What was refused, by code.", "reason", self.refusals.counts)

    def _limits(self) -> Iterator[Metric]:
        limits = dict(self.endpoint.limits)
        used = {name: limit.used for name, limit in limits.items() if limit.used is not None}
        refused = {name: limit.refused for name, limit in limits.items()}
        yield _by_label(
            "greenroom_limit", "What there may be.", "limit", {name: limit.maximum for name, limit in limits.items()}
        )
        yield _by_label("greenroom_limit_used", "What there is; of addresses, the greediest has.", "limit", used)
        yield _counter_by_label("greenroom_limit_refused", "How often there was no more to be had.", "limit", refused)
        timeouts = self.endpoint.limits.timeouts
        yield _counter_by_label("greenroom_timed_out", "Connections ended for taking too long.", "what", timeouts)


def _by_label(name: str, told: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(name, told, labels=[label])
    for value, count in values.items():
        family.add_metric([value], count)
    return family


def _counter_by_label(name: str, told: str, label: str, values: Mapping[str, float]) -> Metric:
    family = CounterMetricFamily(name, told, labels=[label])
    for value, count in values.items():
        family.add_metric([value], count)
    return family


def _histogram(name: str, told: str, histogram: Histogram) -> Metric:
    buckets = [("+Inf" if bound == float("inf") else f"{bound:g}", count) for bound, count in histogram.cumulative()]
    return HistogramMetricFamily(name, told, buckets=buckets, sum_value=histogram.total_seconds)
