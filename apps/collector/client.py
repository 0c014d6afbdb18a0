"""The only door to GitLab, and the only file that imports `gitlab`.

One policy for REST and GraphQL: time limits, retries, pace, size and shape of answers, and a token that
leaves to no other host and appears in no message. Knows no endpoint and no model.
"""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any
from urllib.parse import urlsplit

import gitlab
import requests
import stamina
import urllib3
from django.conf import settings
from requests.adapters import HTTPAdapter

from apps.collector import patience
from apps.collector.budget import Budget, budget_of
from apps.collector.errors import GitlabUnavailable, OutOfBudget, TokenRefused, TooSlow
from apps.collector.judgement import Again, decoded, outcome, verdict
from apps.collector.shared_budget import Slot
from apps.collector.wire import Answer, SameHost, cause_of, following, route_of, total
from tem import clock, telemetry
from tem.errors import TemError

CONNECT_S, READ_S, DEADLINE_S = 10.0, 65.0, 180.0
LARGEST_BODY = 64 * 2**20
CONNECTIONS = 16
ATTEMPTS, SLOW_ATTEMPTS = 12, 3
PATIENCE_S = 45.0  # waits longer than this are given back to the ledger instead of slept
QUEUE_S = 3.0  # whoever has no patience waits so long all the same for others who came first
stamina.instrumentation.set_on_retry_hooks(())  # a retry is the normal life of a client, not a warning


class Client:
    """A GitLab with a token. `requests` and `refusals` (429) count what went over the wire.

    `budget`: by default the one that all workers of this token share.
    """

    def __init__(
        self,
        *,
        url: str,
        token: str,
        timeout: tuple[float, float] = (CONNECT_S, READ_S),
        deadline_s: float = DEADLINE_S,
        patience_s: float = PATIENCE_S,
        first_wait_s: float = 0.5,
        budget: Budget | None = None,
    ) -> None:
        if not token.isascii() or not token.isprintable():
            raise TokenRefused("GITLAB_API_TOKEN holds characters that no GitLab token has: set it again.")
        self.url = url.rstrip("/").removesuffix("/api/v4")
        self.requests = self.refusals = 0
        self._ahead = dt.timedelta()  # of the server's clock before ours, as it last told
        self._token, self._timeout, self._deadline_s = token, timeout, deadline_s
        self._patience_s, self._first_wait_s = patience_s, first_wait_s
        self._budget, self._lock = budget or budget_of(self.url, token), threading.Lock()
        session = SameHost()
        session.max_redirects = 3
        session.hooks["response"].append(self._judge)
        session.stand_alone(self.url)
        for scheme in ("http://", "https://"):
            session.mount(scheme, HTTPAdapter(pool_connections=2, pool_maxsize=CONNECTIONS, max_retries=0))
        self._gitlab = gitlab.Gitlab(
            self.url, private_token=token, keep_base_url=True, user_agent="TEM", session=session
        )

    @classmethod
    def from_settings(cls) -> Client:
        """The GitLab of GITLAB_API_URL with GITLAB_API_TOKEN."""
        return cls(url=settings.GITLAB_URL, token=settings.GITLAB_TOKEN)

    def __repr__(self) -> str:
        return f"Client({self._clean(self.url)!r})"

    @property
    def server_time(self) -> dt.datetime:
        """The server's clock, as far as it told it; ours before the first answer."""
        return clock.now() + self._ahead

    def get(self, path: str, *, query: Mapping[str, Any], decode: Callable[[bytes], Any]) -> Answer:
        """One REST answer, decoded.

        Raises every error of `errors`; `decode` raises DecodeError on a broken body.
        """
        return self._persist(lambda: self._once("get", path, decode, query_data=dict(query)), path=path)

    def graphql(self, query: str, *, variables: Mapping[str, Any], decode: Callable[[bytes], Any]) -> Answer:
        """One GraphQL answer, decoded. Errors in it are `decode`'s to find: HTTP says 200 to all of them."""
        body = {"query": query, "variables": dict(variables)}
        address = f"{self.url}/api/graphql"
        return self._persist(
            lambda: self._once("post", address, decode, post_data=body), place=self._budget.graphql
        )

    # --- one try -----------------------------------------------------------------------------

    def _once(self, verb: str, path: str, decode: Callable[[bytes], Any], **payload: Any) -> Answer:
        started = time.monotonic()
        with self._lock:
            self.requests += 1
        try:
            response = self._gitlab.http_request(
                verb, path, streamed=True, timeout=self._timeout,  # type: ignore[arg-type]  # a pair is handed on obey_rate_limit=False,
                retry_transient_errors=False, max_retries=0, **payload,
            )  # fmt: skip
            with response:
                body = self._body(response, until=started + self._deadline_s)
        except requests.exceptions.TooManyRedirects as error:
            raise GitlabUnavailable(
                f"{self._where()} redirects in a circle: check GITLAB_API_URL."
            ) from error
        except (requests.exceptions.InvalidURL, requests.exceptions.MissingSchema) as error:
            raise GitlabUnavailable(f"{self._where()} is no usable address: check GITLAB_API_URL.") from error
        except (requests.exceptions.Timeout, urllib3.exceptions.ReadTimeoutError) as error:
            raise Again(f"no answer within {self._timeout[1]:g} s", slow=True, down=True) from error
        except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise Again(cause_of(error), down=True) from error
        return self._answer(response, body, decode)

    def _body(self, response: requests.Response, *, until: float) -> bytes:
        pieces, size = [], 0
        while piece := response.raw.read1(262_144, decode_content=True):
            pieces.append(piece)
            size += len(piece)
            if size > LARGEST_BODY:
                raise Again(f"an answer of more than {LARGEST_BODY // 2**20} MB", slow=True)
            if time.monotonic() > until:
                raise Again(f"no whole answer within {self._deadline_s:g} s", slow=True)
        return b"".join(pieces)

    def _answer(self, response: requests.Response, body: bytes, decode: Callable[[bytes], Any]) -> Answer:
        value = decoded(body, kind=response.headers.get("Content-Type", ""), decode=decode)
        told = patience.server_time(response.headers, otherwise=self.server_time)
        headers = response.headers
        return Answer(value=value, server_time=told, following=following(headers), total=total(headers))

    # --- judging a status --------------------------------------------------------------------

    def _judge(self, response: requests.Response, **_: Any) -> None:
        """Sort out every status but 2xx before python-gitlab sees it: it would read an endless body into
        memory."""
        now = patience.server_time(response.headers, otherwise=self.server_time)
        self._ahead = now - clock.now()
        self._budget.learn(response.headers, now=now)
        status = response.status_code
        if 200 <= status < 300:
            return
        if response.is_redirect and self._gitlab.session.get_redirect_target(response):
            return
        start = b""
        try:
            start = response.raw.read(2_000, decode_content=True)
        except (urllib3.exceptions.HTTPError, OSError):
            start = b""  # the status alone decides; its body was only a courtesy
        finally:
            response.close()
        wait_s = None
        if status == 429:
            wait_s = self._busy(response, now)
        elif status == 503:
            wait_s = patience.asked_wait(response.headers, now=now)
        raise verdict(status, start.lower(), where=self._where(), wait_s=wait_s)

    def _busy(self, response: requests.Response, now: dt.datetime) -> float:
        with self._lock:
            self.refusals += 1
        path = urlsplit(response.url).path.rpartition("/api/v4")[2]
        return self._budget.refused(path, response.headers, now=now)

    # --- persistence -------------------------------------------------------------------------

    def _persist(
        self,
        ask: Callable[[], Answer],
        *,
        path: str = "",
        place: AbstractContextManager[Any] | None = None,
    ) -> Answer:
        slept, attempt, slow = 0.0, 0, 0

        def wait_for(error: Exception) -> bool | float:
            nonlocal slept, attempt, slow
            slow += isinstance(error, Again) and error.slow
            if not isinstance(error, Again) or slow >= SLOW_ATTEMPTS:
                return False
            wait_s = patience.full_jitter(attempt, first_s=self._first_wait_s, most_s=30.0)
            if error.wait_s is not None:
                wait_s = error.wait_s + min(wait_s, 1.0)
            attempt, slept = attempt + 1, slept + wait_s
            return wait_s if slept <= self._patience_s else False

        try:
            for trial in stamina.retry_context(on=wait_for, attempts=ATTEMPTS, timeout=None):
                with trial, place or nullcontext():
                    return self._in_turn(ask, path)
        except Again as error:
            raise self._gave_up(error) from error
        raise AssertionError("retry_context always answers or raises")

    def _in_turn(self, ask: Callable[[], Answer], path: str) -> Answer:
        """One try when the budget allows it, and what became of it told to the budget."""
        slot = self._budget.turn(path, patience_s=max(self._patience_s, QUEUE_S))
        if slot.refusal:
            raise self._no_turn(slot)
        try:
            answer = self._traced(ask, path, waited_s=slot.wait_s)
        except Again as error:
            if error.down:
                self._budget.failed(self._clean(str(error)), slot=slot)
            else:
                self._budget.fine(slot=slot)
            raise
        except TemError:
            self._budget.fine(slot=slot)  # a refusal is an answer
            raise
        self._budget.fine(slot=slot)
        return answer

    def _traced(self, ask: Callable[[], Answer], path: str, *, waited_s: float) -> Answer:
        """The try itself, counted by what came of it. Its span names the route, never what is in it."""
        error: Exception | None = None
        with telemetry.span(f"gitlab {route_of(path)}", waited_s=waited_s) as one:
            try:
                return ask()
            except (Again, TemError) as found:
                error = found
                raise
            finally:
                self._budget.note(outcome(error))
                telemetry.note(one, outcome=outcome(error))

    def _no_turn(self, slot: Slot) -> GitlabUnavailable:
        if slot.refusal == "late":
            return OutOfBudget("The request budget of this token is used up.", retry_after_s=slot.wait_s)
        words = (
            f"{self._where()} gave no usable answer many times in a row: {slot.cause}."
            " It is asked again after a pause. Check GITLAB_API_URL and that GitLab is up."
        )
        return GitlabUnavailable(words, retry_after_s=slot.wait_s)

    def _gave_up(self, error: Again) -> GitlabUnavailable:
        kind = TooSlow if error.slow else GitlabUnavailable
        wait_s = error.wait_s if error.wait_s is not None else 30.0
        advice = "" if error.busy or error.slow else " Check GITLAB_API_URL and that GitLab is up."
        return kind(
            f"{self._where()} gave no usable answer: {self._clean(str(error))}.{advice}", retry_after_s=wait_s
        )

    def _where(self) -> str:
        parts = urlsplit(self.url)
        return f"GitLab at {parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}"

    def _clean(self, text: str) -> str:
        return text.replace(self._token, "***") if self._token else text
