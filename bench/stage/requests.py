"""How many requests a run took, beside what it brought."""

from __future__ import annotations

from stage.figures import tell
from stage.product import Product
from stage.routes import CI, MERGE_REQUESTS

PER_MERGED, STRETCH, PER_1000_JOBS = 0.5, 0.15, 8.0


def tell_requests(
    name: str, tem: Product, parts: dict[str, dict[str, int]], *, requests: int, since: str
) -> None:
    """Tell requests per merged MR and per 1,000 jobs. `since`: SQL for when the measured time began."""
    merged, pipelines, jobs = tem.ask(
        f"select (select count(*) from raw_mr where merged_at >= {since}),"  # noqa: S608  our own words
        f" (select count(*) from raw_pipeline where created_at >= {since}),"
        f" (select count(*) from raw_job where created_at >= {since})"
    )[0]
    ci, own = (sum(parts.get(part, {}).values()) for part in (CI, MERGE_REQUESTS))
    more = {"merged": merged, "jobs": jobs, "requests": requests}
    tell(
        f"{name}, a merged MR", own / max(merged, 1), "requests", bar=PER_MERGED, limit=0.01,
        what=f"one page for 100 of {merged:,} merged MRs", stretch=STRETCH, **more,
    )  # fmt: skip
    tell(
        f"{name}, 1,000 jobs", ci * 1000 / max(jobs, 1), "requests", bar=PER_1000_JOBS,
        limit=pipelines * 10 / max(jobs, 1), what=f"one page for 100 of {pipelines:,} pipelines", **more,
    )  # fmt: skip
    rest = requests - ci
    print(
        f"  everything that is not CI: {rest:,} requests, {rest / max(merged, 1):.2f} a merged MR", flush=True
    )
