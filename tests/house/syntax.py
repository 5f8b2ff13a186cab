"""The nodes of syntax trees, found once for all tests that look at them."""

from __future__ import annotations

import ast
import functools


@functools.cache
def nodes_of(tree: ast.AST) -> list[ast.AST]:
    """Return a tree's nodes, each after the one that holds it, as ast.walk gives them."""
    nodes = [tree]
    for node in nodes:
        for name in node._fields:
            value = getattr(node, name, None)
            if isinstance(value, list):
                nodes += [child for child in value if isinstance(child, ast.AST)]
            elif isinstance(value, ast.AST):
                nodes.append(value)
    return nodes
