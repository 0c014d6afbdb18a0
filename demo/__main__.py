"""python -m demo: serve a made-up GitLab on 127.0.0.1 until stopped."""

from __future__ import annotations

import argparse
import datetime as dt
import gc
import json
import socket

import uvicorn

from demo.faults import Faults
from demo.server import Server
from demo.times import DAY, millis, parse
from demo.world import World


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="demo", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--projects", type=int, default=16)
    parser.add_argument("--days", type=int, default=180)
    parser.add_argument("--pace", type=float, default=1.0, help="so many times the usual work in a project")
    parser.add_argument("--mixed", action="store_true", help="all manners of working in any four projects")
    parser.add_argument("--until", help="the clock, ISO 8601; default now")
    parser.add_argument(
        "--start", help="where history begins; default --days before --until, at midnight UTC"
    )
    parser.add_argument("--latency-ms", type=int, default=0)
    parser.add_argument("--rate-limit", type=int, default=0, metavar="PER_MINUTE")
    parser.add_argument("--tier", choices=("free", "premium"), default="premium")
    parser.add_argument("--graphql", choices=("16.3", "18"), default="18", help="which release answers")
    parser.add_argument("--faults", type=_faults, default=Faults(), metavar="JSON")
    parser.add_argument("--token", default="demo-token")
    return parser.parse_args()


def _faults(text: str) -> Faults:
    return Faults.of(json.loads(text))


def main() -> None:
    """Build the world, then listen; one line says where."""
    options = _options()
    until = parse(options.until) if options.until else millis(dt.datetime.now(dt.UTC))
    start = parse(options.start) if options.start else (until - options.days * DAY) // DAY * DAY
    gc.disable()
    world = World(
        seed=options.seed, projects=options.projects, start=start, now=until, pace=options.pace,
        mixed=options.mixed,
    )  # fmt: skip
    gc.collect()
    gc.freeze()
    gc.enable()
    listener = socket.create_server(("127.0.0.1", options.port), backlog=256)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    application = Server(
        world, url=url, token=options.token, premium=options.tier == "premium",
        older=options.graphql == "16.3", latency_ms=options.latency_ms, per_minute=options.rate_limit,
        faults=options.faults,
    )  # fmt: skip
    config = uvicorn.Config(
        application, http="httptools", loop="uvloop", lifespan="off", access_log=False, log_level="warning",
        server_header=False, date_header=False, timeout_keep_alive=75, timeout_graceful_shutdown=1,
    )  # fmt: skip
    print(f"demo GitLab listening on {url}", flush=True)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
