"""Traces: spans go to a collector of OpenTelemetry where the environment names one, as its own variables say."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

SERVICE_NAME: Final = "loopcast"
"""Where OTEL_SERVICE_NAME gives no other."""
ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


def open_tracing(environ: Mapping[str, str]) -> "TracerProvider | None":
    """What makes spans and sends them by OTLP over HTTP; None where the environment asks for none.

    It reads on from the process's environment: OTEL_EXPORTER_OTLP_*, OTEL_TRACES_SAMPLER, OTEL_RESOURCE_ATTRIBUTES.

    Args:
        environ: In which OTEL_TRACES_EXPORTER=otlp, or an endpoint, asks for spans, and OTEL_SDK_DISABLED for none.
    """
    is_disabled = environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    default = "otlp" if any(environ.get(name) for name in ENDPOINTS) else "none"
    if is_disabled or environ.get("OTEL_TRACES_EXPORTER", default).strip().lower() != "otlp":
        return None
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    named = Resource({"service.name": SERVICE_NAME}).merge(OTELResourceDetector().detect())
    provider = TracerProvider(resource=Resource.create().merge(named))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider
