"""gunicorn's settings (`-c python:tem.web`): the address comes from the process runner."""

import signal
from typing import Any

from tem import telemetry
from tem.processes import tie_to_parent

worker_class = "gthread"
workers = 2
threads = 4
preload_app = True  # Django is loaded once, and a broken start is seen at once
timeout = 60
graceful_timeout = 2
accesslog = None
capture_output = False
control_socket_disable = True


def post_fork(_server: Any, _worker: Any) -> None:
    """A worker does not outlive its master, however that died."""
    tie_to_parent(signal.SIGKILL)
    telemetry.begin("web")


def worker_exit(_server: Any, _worker: Any) -> None:
    telemetry.end()
