"""Figures of a benchmark: printed beside their bar and the limit of the same run, and kept."""

from __future__ import annotations

import datetime as dt
import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / ".tem" / "bench" / "results.jsonl"


def tell(
    name: str,
    figure: float,
    unit: str,
    *,
    bar: float,
    limit: float,
    what: str,
    at_least: bool = False,
    **more: Any,
) -> bool:
    """Print one figure beside its bar, append it to the results; whether it keeps the bar.

    Less is better, and `limit` is the least that this run could have needed; with `at_least` more is, and
    `limit` is the most that it could have reached. `what` says why.
    """
    kept = figure >= bar if at_least else figure <= bar
    ratio = figure / limit if limit else None
    times = (f", {ratio:.0%} of it" if at_least else f", {ratio:.1f} times the limit") if ratio else ""
    verdict = "kept" if kept else "MISSED"
    print(
        f"{name}: {figure:.2f} {unit} (bar {bar:g}: {verdict}); limit {limit:.2f}, {what}{times}", flush=True
    )
    row = {
        "bench": Path(sys.argv[0]).stem, "at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "name": name, "figure": round(figure, 4), "unit": unit, "bar": bar, "limit": round(limit, 4),
        "ratio": ratio and round(ratio, 3), "kept": kept, **more,
    }  # fmt: skip
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    with RESULTS.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")
    return kept
