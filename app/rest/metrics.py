"""GET /metrics: what Prometheus collects."""

from starlette.requests import Request
from starlette.responses import Response

from app.infra.telemetry.metrics import CONTENT_TYPE, exposition


async def metrics(_request: Request) -> Response:
    """Every metric of this process."""
    return Response(exposition(), headers={"content-type": CONTENT_TYPE})
