"""POST /api/graphql: parse, validate, weigh, execute."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
from graphql import DocumentNode, GraphQLError, GraphQLSchema, build_schema, parse, validate

from demo import graph_ci, graph_lists  # noqa: F401  fill FIELDS
from demo.complexity import LIMIT, score
from demo.connections import Connection
from demo.entities import Deployment, Environment
from demo.faults import Faults
from demo.fielding import FIELDS
from demo.graph_execution import Quick
from demo.graph_fields import signature_type
from demo.world import World

MOST_TEXT = 10_000
_encode = msgspec.json.Encoder().encode
_UNKNOWN_FIELD = re.compile(r"Cannot query field '(\w+)' on type '(\w+)'.*", re.S)
_NEVER: Any = lambda value: False  # noqa: E731


def schema(*, premium: bool, older: bool = False) -> GraphQLSchema:
    """Our part of GitLab's schema: a free server lacks the lines marked EE, an older one those marked 18."""
    text = (Path(__file__).parent / "schema.graphql").read_text(encoding="utf-8")
    left_out = [mark for mark, lacks in (("# EE", not premium), ("# 18", older)) if lacks]
    text = "\n".join(line for line in text.splitlines() if not line.endswith(tuple(left_out)))
    made = build_schema(text, assume_valid=True)
    for name, type_ in made.type_map.items():
        for field_name, field in getattr(type_, "fields", {}).items():
            get = FIELDS.get(name, {}).get(field_name)
            if get is None and name.endswith("Connection"):
                get = _CONNECTION.get(field_name)
            if get is not None:
                field.extensions = {"get": get}
                field.resolve = _resolver(get)
    made.type_map["CommitSignature"].resolve_type = signature_type  # type: ignore[attr-defined]
    return made


def _info(connection: Connection, context: Any) -> Connection:
    return connection


_CONNECTION: dict[str, Callable[..., Any]] = {
    "nodes": lambda connection, context: connection.nodes,
    "pageInfo": _info,
    "count": lambda connection, context: connection.count,
}


def _resolver(get: Callable[..., Any]) -> Callable[..., Any]:
    def resolve(source: Any, info: Any, **args: Any) -> Any:
        return get(source, info.context, **args)

    return resolve


class Context:
    """What resolvers know besides their entity."""

    def __init__(self, world: World, *, url: str, cost: int, faults: Faults) -> None:
        self.world, self.url, self.now, self.score = world, url, world.now, cost
        self._happens, self.closed = faults.happens, faults.closed

    def page(self, rows: list[Any]) -> list[Any]:
        """The rows of a connection; one may be hidden from the asker and come as null, or all fail."""
        if self._happens("partial_error"):
            raise GraphQLError("Internal server error")
        if rows and self._happens("null_nodes"):
            return [None, *rows[1:]] if len(rows) > 1 else rows
        return rows

    def deployments(self, environment: Environment) -> list[Deployment]:
        """Of the project that the environment belongs to."""
        for project in self.world.projects.values():
            if project.environments.get(environment.name) is environment:
                return project.deployments
        return []


class Asked(msgspec.Struct):
    """The body of a request, by the names of the protocol."""

    query: str
    variables: dict[str, Any] | None = None
    operationName: str | None = None  # noqa: N815  the protocol's spelling


class Graph:
    """The GraphQL side of one server."""

    def __init__(self, world: World, *, url: str, premium: bool, older: bool = False) -> None:
        self.world, self.url, self.schema = world, url, schema(premium=premium, older=older)
        self._prepared = lru_cache(maxsize=256)(self._prepare)

    def _prepare(self, text: str) -> tuple[DocumentNode | None, list[str]]:
        try:
            document = parse(text)
        except GraphQLError as error:
            return None, [error.message]
        return document, [_worded(error.message) for error in validate(self.schema, document)]

    def answer(self, body: bytes, *, faults: Faults) -> bytes:
        """The JSON for a request's body: always with status 200."""
        try:
            asked = msgspec.json.decode(body, type=Asked)
        except msgspec.DecodeError:
            return _errors("No query string was present")
        text, variables, operation = asked.query, asked.variables or {}, asked.operationName
        if len(text) > MOST_TEXT:
            return _errors("Query too large")
        document, problems = self._prepared(text)
        if document is None or problems:
            return _errors(*problems)
        cost = score(document, self.schema, variables, operation)
        if cost > LIMIT:
            return _errors(f"Query has complexity of {cost}, which exceeds max complexity of {LIMIT}")
        context = Context(self.world, url=self.url, cost=cost, faults=faults)
        return self._execute(document, variables, operation, context)

    def _execute(
        self, document: DocumentNode, variables: dict[str, Any], name: str | None, context: Context
    ) -> bytes:
        executor = Quick.build(
            self.schema, document, context_value=context, raw_variable_values=variables, operation_name=name,
            is_awaitable=_NEVER,
        )  # fmt: skip
        if isinstance(executor, list):
            return _errors(*(error.message for error in executor))
        result: Any = executor.execute_operation()
        if result.errors:
            return _encode({"data": result.data, "errors": [error.formatted for error in result.errors]})
        return _encode({"data": result.data})


def _worded(message: str) -> str:
    """As graphql-ruby says it."""
    return _UNKNOWN_FIELD.sub(r"Field '\1' doesn't exist on type '\2'", message)


def _errors(*messages: str) -> bytes:
    return _encode({"errors": [{"message": message} for message in messages]})
