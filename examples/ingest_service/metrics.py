"""What Prometheus scrapes from the service."""

from examples.ingest_service.http_server import HttpError, Text
from graphflow import Scheduler


class Metrics:
    """The numbers of a scheduler in Prometheus's text format, in a registry of their own."""

    def __init__(self, scheduler: Scheduler) -> None:
        try:
            from prometheus_client import CollectorRegistry

            from graphflow.observability import PrometheusCollector
        except ImportError:
            self._registry = None
        else:
            self._registry = CollectorRegistry()
            self._registry.register(PrometheusCollector(scheduler))

    def exposition(self) -> Text:
        """Read the numbers now. Raises HttpError (501) where prometheus-client is not installed."""
        if self._registry is None:
            raise HttpError(501, "metrics need prometheus-client: pip install 'graphflow[metrics]'")
        from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

        return Text(generate_latest(self._registry), CONTENT_TYPE_LATEST)
