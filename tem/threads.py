"""Threads that know for whom they work: the ids in their logs and the span above theirs are the giver's."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import ThreadPoolExecutor as Plain
from contextvars import copy_context
from typing import Any


class ThreadPoolExecutor(Plain):
    """The standard library's, in which work runs in the context in which it was given."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        return super().submit(copy_context().run, fn, *args, **kwargs)
