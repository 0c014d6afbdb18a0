"""The daily JSON as INTERFACES promises it, as a JSON schema of its own."""

from apps.metrics.registry import METRICS

KEYS = [metric.key for metric in METRICS]
EXCLUSIONS = [
    "archived", "empty", "no_access", "pending_deletion",
    "merge_requests_disabled", "out_of_scope", "failed", "quarantined",
]  # fmt: skip
REASONS = ["before_history", "not_on_this_tier", "feature_disabled", "no_access", "no_sample"]
COMPETENCIES = ["DevOps", "Git & GitOps", "Coding & Code Review", "Observability & Optimization"]


def _object(**properties) -> dict:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _nullable(kind: str) -> dict:
    return {"type": [kind, "null"]}


_DAY = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\d$"}
_INSTANT = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$"}
_SUMMARY = _object(
    date=_DAY,
    scope={"enum": ["org", "business_line", "team", "repo"]},
    org={"type": "string"},
    business_line=_nullable("string"),
    team=_nullable("string"),
    repo=_nullable("string"),
    metrics=_object(**{key: _nullable("number") for key in KEYS}),
    n=_object(**{key: {"type": "integer", "minimum": 0} for key in KEYS}),
    unavailable={
        "type": "object",
        "propertyNames": {"enum": KEYS},
        "additionalProperties": {"enum": REASONS},
    },
)
_ENTRY = _object(
    title={"type": "string", "minLength": 1},
    unit={"enum": ["h", "s", "ratio", "count"]},
    window={"enum": ["D1", "D7", "D30", "D90", "EOD"]},
    competency={"enum": COMPETENCIES},
    better={"enum": ["up", "down", "neither"]},
    definition={"type": "string", "minLength": 1},
)
DAILY = _object(
    schema_version={"const": 1},
    date=_DAY,
    timezone={"type": "string"},
    org={"type": "string"},
    run=_object(id={"type": "integer"}, kind={"type": "string"}, finished_at=_INSTANT),
    rules_version={"type": "integer"},
    coverage=_object(
        ratio=_nullable("number"),
        active={"type": "integer"},
        included={"type": "integer"},
        excluded={
            "type": "array",
            "items": _object(repo={"type": "string"}, reason={"enum": EXCLUSIONS}),
        },
    ),
    data_quality=_object(state={"type": "string"}, parity=_nullable("number")),
    dictionary=_object(**dict.fromkeys(KEYS, _ENTRY)),
    summaries={"type": "array", "items": _SUMMARY, "minItems": 1},
)
