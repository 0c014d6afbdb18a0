"""Spans over what the product does, for whoever has a collector of OpenTelemetry. Off unless one is named.

The standard variables say where they go (OTEL_EXPORTER_OTLP_ENDPOINT and its kin, over HTTP). Without them a
span costs a few microseconds. Every span bears the ids that are bound at the time (`tem.ids`), and nothing
that was in a request or a row.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from opentelemetry import context, trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Status, StatusCode

from tem import ids

ADDRESSES = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
FLUSH_MS = 5_000
_tracer = trace.get_tracer("tem")


@contextmanager
def span(name: str, **attributes: Any) -> Iterator[trace.Span]:
    """A span around a block. An error gives it its type alone: messages may quote what nobody should read."""
    with _tracer.start_as_current_span(
        name,
        attributes={f"tem.{key}": value for key, value in attributes.items()},
        record_exception=False,
        set_status_on_exception=False,
    ) as one:
        try:
            yield one
        except BaseException as error:
            one.set_status(Status(StatusCode.ERROR, type(error).__name__))
            raise


def note(one: trace.Span, **attributes: Any) -> None:
    """What is known only at the end of the block."""
    for key, value in attributes.items():
        one.set_attribute(f"tem.{key}", value)


class _Ids(SpanProcessor):
    """Puts the ids of the moment on every span, whoever made it."""

    def on_start(self, span: Span, parent_context: context.Context | None = None) -> None:
        for name, value in ids.bound().items():
            span.set_attribute(f"tem.{name}", value)

    def on_end(self, span: ReadableSpan) -> None:
        return None


def begin(part: str) -> None:
    """Send this process's spans, if anybody is named to take them. `part`: web or worker.

    Called once in each process, after it was forked: the thread that sends does not survive a fork.
    """
    if not any(os.environ.get(name) for name in ADDRESSES):
        return
    # Only now: it brings its own HTTP client, which nobody else needs.
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    provider = TracerProvider(resource=Resource.create({"service.name": "tem", "tem.part": part}))
    provider.add_span_processor(_Ids())
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)


def end() -> None:
    """Send what is left; a process that is killed loses its last seconds."""
    provider = trace.get_tracer_provider()
    if isinstance(provider, TracerProvider):
        provider.force_flush(FLUSH_MS)
