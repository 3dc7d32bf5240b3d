"""The page about the workers, and the metrics for Prometheus."""

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.requests import Request
from starlette.responses import Response

from aftercall.ledger import pace, workers
from producer.metrics import collect
from producer.web.pages import render
from producer.web.state import database_of, memory_of, services_of


def show_workers(request: Request) -> Response:
    """The workers with a recent heartbeat, and the pace of all."""
    database = database_of(request)
    alive = workers.alive(database)
    is_mixed = any(len(models) > 1 for models in workers.models_by_queue(alive).values())
    return render(
        request, "workers", title="Workers", alive=alive, pace=pace.pace(database), is_mixed=is_mixed, refresh_s=5
    )


def metrics(request: Request) -> Response:
    """The figures of `aftercall metrics --textfile`."""
    services = services_of(request)

    def gather() -> bytes:
        registry = CollectorRegistry()
        collect(services, registry, services.settings.deadline)
        return generate_latest(registry)

    return Response(memory_of(request).recall("metrics", gather), media_type=CONTENT_TYPE_LATEST)
