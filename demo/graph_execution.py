"""graphql-core's executor, with shorter ways for what our schema has: nothing here is ever awaited.

The algorithm is the specification's and all coercion is graphql-core's. What is saved is the bookkeeping
that only
custom resolvers, middleware and coroutines need. Anything unusual goes the library's own way.
"""

from __future__ import annotations

from typing import Any

from graphql import (
    GraphQLError,
    GraphQLField,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
    is_object_type,
)
from graphql.execution import Executor
from graphql.execution.values import get_argument_values
from graphql.pyutils import Path

LEAF, OBJECT, NODES, OTHER = range(4)


class Quick(Executor):
    """Executes one operation."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._plans: dict[tuple[str, int], tuple[Any, list[tuple[Any, ...]]]] = {}

    def execute_fields(
        self, parent_type: Any, source_value: Any, path: Any, grouped_field_set: Any, position_context: Any
    ) -> dict[str, Any]:
        """The fields of one object, in order."""
        key = (parent_type.name, id(grouped_field_set))
        known = self._plans.get(key)
        if known is None:
            plan = [self._plan(parent_type, name, details) for name, details in grouped_field_set.items()]
            self._plans[key] = known = (grouped_field_set, plan)
        results: dict[str, Any] = {}
        context = self.context_value
        for name, details, kind, get, args, coerce, required, inner in known[1]:
            try:
                if kind == OTHER:
                    results[name] = self._library_way(parent_type, source_value, details, name, path)
                    continue
                value = get(source_value, context, **args) if args else get(source_value, context)
                if value is not None and kind == LEAF:
                    value = coerce(value)
                elif value is not None:
                    value = self._below(kind, inner, details, value, Path(path, name, parent_type.name))
                if value is None and required:
                    raise TypeError(f"Cannot return null for non-nullable field {parent_type.name}.{name}.")
                results[name] = value
            except Exception as error:
                here = Path(path, name, parent_type.name)
                field: Any = self.schema.get_field(parent_type, details[0].node.name.value)
                self.handle_field_error(error, field.type, details, here)
                results[name] = None
        return results

    def _library_way(self, parent_type: Any, source: Any, details: Any, name: str, path: Any) -> Any:
        return self.execute_field(parent_type, source, details, Path(path, name, parent_type.name), None)

    def _below(self, kind: int, inner: Any, details: Any, value: Any, path: Any) -> Any:
        if kind == NODES:
            return self._nodes(inner, details, value, path)
        below = self.collect_subfields(inner, details).grouped_field_set
        return self.execute_fields(inner, value, path, below, None)

    def _nodes(self, inner: Any, details: Any, rows: list[Any], path: Any) -> list[Any]:
        """A list of objects; a row that fails is null."""
        below = self.collect_subfields(inner, details).grouped_field_set
        found: list[Any] = []
        for place, row in enumerate(rows):
            here = Path(path, place, None)
            try:
                found.append(None if row is None else self.execute_fields(inner, row, here, below, None))
            except Exception as error:
                self.handle_field_error(error, inner, details, here)
                found.append(None)
        return found

    def _plan(self, parent_type: Any, name: str, details: Any) -> tuple[Any, ...]:
        node = details[0].node
        field: GraphQLField | None = self.schema.get_field(parent_type, node.name.value)
        get = field.extensions.get("get") if field else None
        if field is None or get is None:
            return name, details, OTHER, None, None, None, False, None
        type_: Any = field.type
        required = is_non_null_type(type_)
        type_ = type_.of_type if required else type_
        try:
            args = get_argument_values(field, node, self.variable_values) if field.args else {}
        except GraphQLError:
            return name, details, OTHER, None, None, None, False, None
        if is_leaf_type(type_):
            return name, details, LEAF, get, args, type_.coerce_output_value, required, None
        if is_object_type(type_):
            return name, details, OBJECT, get, args, None, required, type_
        if is_list_type(type_) and is_object_type(type_.of_type) and not required:
            return name, details, NODES, get, args, None, False, type_.of_type
        return name, details, OTHER, None, None, None, False, None
