"""The nodes of syntax trees, found fast, and once for all tests that look at them."""

from __future__ import annotations

import ast
import functools
from collections import defaultdict
from typing import Any

_MARKS = (ast.expr_context, ast.operator, ast.unaryop, ast.cmpop, ast.boolop)
"""Kinds of nodes that say something of the node that holds them, and hold none: nearly half of a tree."""


parse = functools.cache(ast.parse)
"""Remembers the trees of the product's files, which every measure asks for."""


def children(node: ast.AST) -> list[ast.AST]:
    """Return the nodes that a node holds, marks apart."""
    held: list[ast.AST] = []
    for name in node._fields:
        value = getattr(node, name, None)
        if type(value) is list:
            held += [child for child in value if isinstance(child, ast.AST)]
        elif isinstance(value, ast.AST) and not isinstance(value, _MARKS):
            held.append(value)
    return held


def walk(tree: ast.AST) -> list[ast.AST]:
    """Return a tree's nodes, each after the one that holds it, as ast.walk gives them; without marks."""
    nodes = [tree]
    for node in nodes:
        nodes += children(node)
    return nodes


nodes_of = functools.cache(walk)
"""The same, remembered for a tree that many tests look at."""


def by_kind(tree: ast.AST) -> dict[type[ast.AST], list[Any]]:
    """Return a tree's nodes by their kinds."""
    nodes: dict[type[ast.AST], list[Any]] = defaultdict(list)
    for node in walk(tree):
        nodes[type(node)].append(node)
    return nodes
