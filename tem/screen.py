"""A run's progress on a terminal: bars where one looks on, plain lines where the output is kept."""

from __future__ import annotations

import datetime as dt
import time
from typing import Any, Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from apps.runs.forecast import Forecast
from apps.runs.progress import PhaseProgress, Snapshot, seconds_left
from tem import clock

PLAIN_EVERY_S = 10.0


class Screen(Protocol):
    """Where looks at a run go."""

    def __enter__(self) -> Screen: ...
    def __exit__(self, *_: object) -> None: ...
    def show(self, seen: Snapshot, *, now: dt.datetime, expected: Forecast | None = None) -> None: ...


def screen_for(out: Any) -> Screen:
    """Bars when `out` is a terminal, lines otherwise."""
    console = Console(file=out, highlight=False)
    return Bars(console) if console.is_terminal else Lines(console)


class Bars:
    """One bar a phase, redrawn in place."""

    def __init__(self, console: Console) -> None:
        self.live = Live(console=console, auto_refresh=False)

    def __enter__(self) -> Bars:
        self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.live.stop()

    def show(self, seen: Snapshot, *, now: dt.datetime, expected: Forecast | None = None) -> None:
        table = Table.grid(padding=(0, 2))
        for phase in seen.phases:
            bar = ProgressBar(total=max(1, phase.total), completed=phase.settled, width=32)
            table.add_row(phase.name.replace("_", " "), bar, counted(phase), left(phase, now=now))
        waits = [Text(seen.waiting, style="yellow")] if seen.waiting else []
        self.live.update(Group(table, Text(totals(seen, now=now) + ends(expected)), *waits), refresh=True)


class Lines:
    """A line when a phase opens, when the run is over, and every ten seconds in between."""

    def __init__(self, console: Console) -> None:
        self.console, self.said, self.said_at, self.waited = console, "", 0.0, ""

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def show(self, seen: Snapshot, *, now: dt.datetime, expected: Forecast | None = None) -> None:
        standing = [phase.name for phase in seen.phases]
        is_late = time.monotonic() - self.said_at > PLAIN_EVERY_S
        line = " | ".join(f"{phase.name} {counted(phase)}" for phase in seen.phases)
        if seen.phases and (str(standing) != self.said or is_late or seen.is_over):
            self.said, self.said_at = str(standing), time.monotonic()
            self.console.print(f"{line} | {totals(seen, now=now)}{ends(expected)}", soft_wrap=True)
        cause = seen.waiting.partition(": ")[2]
        if cause and cause != self.waited:
            self.console.print(seen.waiting, soft_wrap=True)
        self.waited = cause


def counted(phase: PhaseProgress) -> str:
    """`12/16`, and what was left out."""
    lost = f", {phase.left_out} left out" if phase.left_out else ""
    return f"{phase.settled}/{phase.total}{lost}"


def totals(seen: Snapshot, *, now: dt.datetime) -> str:
    """Rows, requests and the time since the run was asked for."""
    seconds = ((seen.run.finished_at or now) - seen.run.requested_at).total_seconds()
    return f"{seen.rows:,} rows, {seen.requests:,} requests, {length(seconds)}"


def ends(expected: Forecast | None) -> str:
    """When the whole run will probably be done, by the clock of the wall."""
    if expected is None:
        return ""
    done, first, last = (
        f"{at.astimezone(clock.zone()):%H:%M}"
        for at in (expected.expected, expected.earliest, expected.latest)
    )
    return f", done about {done} ({first} to {last})"


def left(phase: PhaseProgress, *, now: dt.datetime) -> str:
    """When the phase will be done if it keeps its pace."""
    seconds = seconds_left(phase, now=now)
    return "" if not seconds else f"about {length(seconds)} left"


def length(seconds: float) -> str:
    """`48 s`, `3 min 05 s`, `2 h 10 min`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
