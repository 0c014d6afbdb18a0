"""What a query costs by GitLab's rules; too dear ones are refused before they run."""

from __future__ import annotations

from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    VariableNode,
    get_named_type,
)

LIMIT = 250
# GitLab's own constants (app/graphql/types): a tree's last commit is dear, so about 14 of them fit a query.
FIXED = {"mergedAt": 5, "reviewers": 5, "labels": 5, "lastCommit": 10}
GIT = {
    "commits", "commit", "diffStatsSummary", "signature", "verificationStatus", "repository", "rootRef",
    "tree",
}  # fmt: skip


def score(
    document: DocumentNode, schema: GraphQLSchema, variables: dict[str, Any], operation: str | None
) -> int:
    """The cost of the operation that will run."""
    fragments = {
        one.name.value: one for one in document.definitions if isinstance(one, FragmentDefinitionNode)
    }
    for one in document.definitions:
        if isinstance(one, OperationDefinitionNode) and (
            operation is None or (one.name and one.name.value == operation)
        ):
            return int(
                _selections(one.selection_set, schema.query_type, _Known(schema, fragments, variables))
            )
    return 0


class _Known:
    def __init__(self, schema: GraphQLSchema, fragments: dict[str, Any], variables: dict[str, Any]) -> None:
        self.schema, self.fragments, self.variables = schema, fragments, variables


def _selections(selection_set: Any, parent: Any, known: _Known) -> float:
    total = 0.0
    for node in selection_set.selections if selection_set else ():
        if isinstance(node, FieldNode):
            total += _field(node, parent, known)
        elif isinstance(node, InlineFragmentNode):
            total += _selections(node.selection_set, parent, known)
        elif isinstance(node, FragmentSpreadNode) and (found := known.fragments.get(node.name.value)):
            total += _selections(found.selection_set, parent, known)
    return total


def _field(node: FieldNode, parent: Any, known: _Known) -> float:
    name = node.name.value
    field = getattr(parent, "fields", {}).get(name)
    if field is None or name.startswith("__"):
        return 1
    inner = get_named_type(field.type)
    child = _selections(node.selection_set, inner, known)
    arguments = {argument.name.value: argument.value for argument in node.arguments or ()}
    cost = child + FIXED.get(name, 1) + (name in GIT) + ("sort" in arguments)
    if inner.name.endswith("Connection") and "iids" not in arguments:
        rows = _number(arguments.get("first") or arguments.get("last"), known)
        cost += cost * 0.01 * rows
    return int(cost)


def _number(node: Any, known: _Known) -> int:
    if isinstance(node, IntValueNode):
        return min(100, int(node.value))
    if isinstance(node, VariableNode) and isinstance(value := known.variables.get(node.name.value), int):
        return min(100, value)
    return 100
