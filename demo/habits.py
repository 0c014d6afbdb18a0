"""How each project works. Every business line has one project of each manner, so that all have all
numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

LINES = {  # group: its subgroups and first projects; projects are dealt out line by line
    "core": ("platform/checkout", "price-feed", "sre/observability", "platform/identity"),
    "corporate-services": ("finance/ledger", "people/hr-portal", "finance/invoicing", "people/payroll"),
    "exchange": ("trading/engine", "custody/vault", "trading/market-data", "custody/settlement"),
    "c-side": ("app/mobile", "web/storefront", "app/notifications", "web/help-center"),
}
SUBGROUPS = {
    "core": ("platform", "sre"),
    "corporate-services": ("finance", "people"),
    "exchange": ("trading", "custody"),
    "c-side": ("app", "web"),
}


@dataclass(frozen=True, slots=True)
class JobSpec:
    """A job of the CI file. `minutes`: usual run time. `needs` None: waits for all earlier stages."""

    name: str
    stage: str
    minutes: float
    needs: tuple[str, ...] | None = None
    allow_failure: bool = False
    manual: bool = False
    environment: str = ""
    bridge: bool = False


@dataclass(frozen=True, slots=True)
class Habits:
    """Rates are per working day, shares between 0 and 1, times in working hours."""

    merge_method: str = "merge"  # merge, rebase_merge (semi-linear), ff
    squash: float = 0.1
    merge_requests: float = 1.55
    fails: float = 0.14
    flaky: float = 0.06
    in_place: float = 0.35
    review: float = 5.0
    required: int = 1
    bypass: float = 0.08
    delivery: str = "environments"  # both, tags, api, none
    semver: float = 0.9
    signing: float = 0.5
    direct: float = 0.12
    force: float = 0.015
    issues: float = 0.8
    dag: bool = False
    shards: int = 3
    manual_production: bool = False
    nightly: bool = False
    removes_branch: float = 0.85


MANNERS = (
    Habits(delivery="environments", dag=True, manual_production=True, nightly=True, signing=0.7),
    Habits(squash=0.9, required=2, delivery="both", bypass=0.12, signing=0.3, flaky=0.1, nightly=True),
    Habits(
        merge_method="rebase_merge",
        squash=0.3,
        delivery="tags",
        semver=0.75,
        required=1,
        shards=4,
        force=0.03,
    ),
    Habits(
        merge_method="ff", squash=0.4, delivery="api", required=1, direct=0.3, removes_branch=0.6, shards=2
    ),
)


@dataclass(frozen=True, slots=True)
class Pace:
    """How many merge requests (`work`) and issues (`talk`) for one that people usually make."""

    work: float = 1.0
    talk: float = 1.0


def habits_of(rng: Random, manner: int, line: int, pace: Pace) -> Habits:
    """The manner, coloured by chance; every other fourth project tells nothing of its deliveries."""
    base = MANNERS[manner % 4]
    swing = rng.uniform(0.75, 1.3)
    return replace(
        base,
        merge_requests=base.merge_requests * swing * pace.work,
        issues=base.issues * swing * pace.talk,
        fails=base.fails * rng.uniform(0.6, 1.6),
        flaky=base.flaky * rng.uniform(0.5, 1.6),
        review=base.review * rng.uniform(0.5, 2.0),
        delivery="none" if base.delivery == "api" and line % 2 else base.delivery,
    )


def _checks(shards: int, dag: bool) -> list[JobSpec]:
    after_build = ("build",) if dag else None
    units = [JobSpec(f"unit {n}/{shards}", "test", 4 + n * 0.7, after_build) for n in range(1, shards + 1)]
    return [
        JobSpec("build", "build", 3.5, () if dag else None),
        JobSpec("lint", "build", 1.2, () if dag else None),
        *units,
        JobSpec("integration", "test", 8.0, after_build),
        JobSpec("sast", "test", 2.5, () if dag else None, allow_failure=True),
        JobSpec("coverage", "verify", 0.8, tuple(unit.name for unit in units) if dag else None),
        JobSpec("image", "package", 2.2, ("build", "lint") if dag else None),
        JobSpec("license scan", "verify", 1.1, None, allow_failure=True),
    ]


MATRIX = 120  # more jobs than a page holds
STAGES = ("build", "test", "verify", "package", "staging", "production")


def ci_file(habits: Habits) -> dict[str, tuple[JobSpec, ...]]:
    """The jobs of each kind of pipeline, in order of stages."""
    checks = _checks(habits.shards, habits.dag)
    main = list(checks)
    if habits.delivery in ("environments", "both"):
        manual = habits.manual_production
        main += [
            JobSpec(
                "deploy staging", "staging", 2.0, ("image",) if habits.dag else None, environment="staging"
            ),
            JobSpec("deploy production", "production", 3.0, manual=manual, environment="production"),
            JobSpec("deploy eu", "production", 2.5, manual=manual, environment="production/eu"),
            JobSpec("rollback production", "production", 1.0, None, True, True, "production"),
        ]
    kinds = {
        "check": checks,
        "main": main,
        "nightly": [*checks, JobSpec("fuzz", "verify", 22.0, None, allow_failure=True)],
        "tag": [checks[0], JobSpec("publish", "package", 2.0)],
        "matrix": [JobSpec(f"cell {n:03}", "test", 0.4) for n in range(MATRIX)],
        "child": [JobSpec("render docs", "build", 1.0), JobSpec("check links", "test", 1.5)],
    }
    if habits.dag:
        kinds["main"].append(JobSpec("docs", "package", 0.1, bridge=True))
    return {
        kind: tuple(sorted(jobs, key=lambda job: STAGES.index(job.stage))) for kind, jobs in kinds.items()
    }
