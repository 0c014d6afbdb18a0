"""A whole run, as a collector of OpenTelemetry and a reader of logs see it: without a secret."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.util._once import Once

from apps.collector import budget
from apps.collector.judgement import OUTCOMES, Again, outcome
from apps.collector.wire import route_of
from apps.runs.models import RunStep
from tem import clock, ids, pipeline, telemetry
from tests.acceptance.plain_gitlab import TOKEN
from tests.runs.gate import drain


class Collector:
    """What an OpenTelemetry collector was sent."""

    def __init__(self) -> None:
        self.raw, self.address = list[bytes](), ""

    def spans(self) -> list[Any]:
        requests = [ExportTraceServiceRequest.FromString(body) for body in self.raw]
        return [
            s for r in requests for one in r.resource_spans for scope in one.scope_spans for s in scope.spans
        ]


def told(span: Any) -> dict[str, Any]:
    """A span's attributes."""
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in span.attributes}


@pytest.fixture
def collector() -> Iterator[Collector]:
    there = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            there.raw.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    there.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield there
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def sending(collector: Collector, monkeypatch) -> Iterator[Collector]:
    """As a worker that was told where its spans go; afterwards as one that was not."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.address)
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", None)
    monkeypatch.setattr(trace, "_TRACER_PROVIDER_SET_ONCE", Once())
    monkeypatch.setattr(telemetry, "_tracer", trace.ProxyTracer("tem"))
    telemetry.begin("worker")
    yield collector
    trace.get_tracer_provider().shutdown()


@pytest.mark.django_db
def test_every_call_page_build_and_file_of_a_run_has_a_span_with_its_ids(gitlab, sending) -> None:
    run = drain(pipeline.start("backfill", slot="one", now=clock.now(), days=10))
    telemetry.end()
    spans = sending.spans()
    by_id = {span.span_id: span for span in spans}
    names = {span.name for span in spans}
    assert {"step collect", "store page", "build facts", "roll up", "export"} <= names
    assert "gitlab /projects/:id/pipelines" in names
    assert all(told(span)["tem.run"] == run.pk for span in spans)
    steps = {str(step.pk): step for step in RunStep.objects.filter(run=run)}
    for span in spans:
        if span.name.startswith("gitlab ") or span.name in ("store page", "build facts"):
            above = span
            while above.parent_span_id:
                above = by_id[above.parent_span_id]
            assert above.name == f"step {steps[str(told(span)['tem.step'])].phase}"
    (page, *_) = [span for span in spans if span.name == "gitlab /projects/:id/pipelines"]
    assert told(page)["tem.outcome"] == "ok" and told(page)["tem.project"] in (101, 102, 103)
    assert sum(span.name.startswith("gitlab ") for span in spans) == run.summary["requests"]
    everything = str([(span.name, told(span)) for span in spans])
    assert TOKEN not in everything and "@" not in everything


def test_a_span_of_an_error_says_its_type_and_not_its_words(sending) -> None:
    with pytest.raises(ValueError, match="secret"), telemetry.span("work"):
        raise ValueError("a secret row")
    telemetry.end()
    (span,) = sending.spans()
    assert span.status.message == "ValueError" and not span.events
    assert b"secret" not in b"".join(sending.raw)


def test_without_an_address_nothing_is_sent(collector, monkeypatch) -> None:
    before = trace.get_tracer_provider()
    telemetry.begin("worker")
    assert trace.get_tracer_provider() is before


@pytest.mark.django_db
def test_a_line_of_a_step_bears_its_ids_and_nobody_elses(gitlab, caplog) -> None:
    caplog.set_level("INFO")
    run = drain(pipeline.start("backfill", slot="one", now=clock.now(), days=10))
    (line,) = [one.msg for one in caplog.records if "no GraphQL here" in str(one.msg)]
    step = run.steps.get(phase="discover")
    assert (line["run"], line["step"], line["phase"]) == (run.pk, step.pk, "discover")
    done = [
        one.msg for one in caplog.records if isinstance(one.msg, dict) and one.msg["event"] == "step done"
    ]
    assert sorted(one["step"] for one in done) == sorted(run.steps.values_list("pk", flat=True))
    assert {one["project"] for one in done if one["phase"] == "collect"} == {101, 102, 103}
    assert ids.bound() == {}


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("", "graphql"),
        ("/projects/12/merge_requests/7/versions", "/projects/:id/merge_requests/:id/versions"),
        ("/groups/toman%2Fcore/projects", "/groups/:path/projects"),
        (f"/projects/1/repository/commits/{'ab' * 20}", "/projects/:id/repository/commits/:id"),
        ("https://gitlab.example/api/v4/projects/1/jobs?page=2", "/projects/:id/jobs"),
    ],
)
def test_routes_are_called_without_what_they_ask_for(path, route) -> None:
    assert route_of(path) == route


def test_calls_are_counted_by_what_came_of_them_for_all_processes(settings) -> None:
    one, other = (
        budget.Budget(key="tem-test-calls", redis_url=settings.TEM_REDIS_URL, parallelism=2) for _ in range(2)
    )
    before = one.standing().calls
    for error in (None, None, Again("status 429", busy=True), Again("cut")):
        one.note(outcome(error))
    other.note("down")
    for mine in (one, other):
        mine.turn("/projects", patience_s=1)
    found = other.standing().calls
    assert {name: found[name] - before.get(name, 0) for name in found} == {
        "ok": 2,
        "busy": 1,
        "unreadable": 1,
        "down": 1,
    }
    assert set(found) <= set(OUTCOMES)


@pytest.mark.django_db
def test_a_request_has_an_id_on_its_lines_and_its_answer(client, caplog) -> None:
    assert client.get("/healthz", headers={"X-Request-Id": "abc-1"})["X-Request-Id"] == "abc-1"
    odd = client.get("/healthz", headers={"X-Request-Id": "<script>\n"})["X-Request-Id"]
    assert len(odd) == 32 and odd.isalnum()
    assert json.dumps(ids.bound()) == "{}"
