"""Finds the stable error codes in the source, by reading it: nothing is imported or run."""

import ast
from collections.abc import Iterator
from pathlib import Path

from searchapp.environment import PROJECT_DIR

# Which argument is the code.
RAISED = {
    "SearchappError": 0,
    "InvalidInput": 0,
    "NotFound": 0,
    "Forbidden": 0,
    "FileRejected": 0,
    "FileTooLarge": 0,
    "RenderFailed": 0,
    "TooMany": 0,
    "Unavailable": 0,
    "AlreadyRunning": 0,
    "error_json": 0,
    "_refused": 1,
    "failed_page": 1,
    "problem": 2,
}
# Codes made from a field's name.
MADE = {
    "f'unknown_{field}'": {"unknown_status", "unknown_type"},
    "f'unknown_{what}'": {"unknown_type", "unknown_language"},
    "f'invalid_{field}'": {"invalid_tags", "invalid_metadata"},
    "f'invalid_{name}'": {
        *("invalid_limit", "invalid_oversampling", "invalid_queries"),
        *("invalid_page_from", "invalid_page_to"),
    },
}


def source_codes() -> dict[str, str]:
    """Every code with a place where it is raised."""
    found: dict[str, str] = {}
    for path in sorted((PROJECT_DIR / "searchapp").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            for code in _codes_of(node):
                found.setdefault(code, f"{path.relative_to(PROJECT_DIR)}:{_line(node)}")
    return found | _engine_codes(PROJECT_DIR / "embedding_engine" / "errors.py")


def _line(node: ast.AST) -> int:
    return int(getattr(node, "lineno", 0))


def _codes_of(node: ast.AST) -> Iterator[str]:
    if not isinstance(node, ast.Call):
        return
    name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
    place = RAISED.get(name)
    if place is not None and len(node.args) > place:
        yield from _texts(node.args[place])
    for keyword in node.keywords:
        if keyword.arg == "error_code":
            yield from _texts(keyword.value)


def _texts(node: ast.expr) -> Iterator[str]:
    """The texts an argument may be; one that is a variable was a text where it was made."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value:
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from _texts(node.body)
        yield from _texts(node.orelse)
    elif isinstance(node, ast.JoinedStr):
        yield from MADE[ast.unparse(node)]


def _engine_codes(path: Path) -> dict[str, str]:
    """The engine's errors carry their code as a class attribute."""
    found = {}
    for node in ast.walk(ast.parse(path.read_text())):
        targets = (
            [node.target]
            if isinstance(node, ast.AnnAssign)
            else node.targets
            if isinstance(node, ast.Assign)
            else []
        )
        named = any(isinstance(target, ast.Name) and target.id == "code" for target in targets)
        value = getattr(node, "value", None)
        if named and isinstance(value, ast.Constant) and isinstance(value.value, str):
            found[value.value] = f"embedding_engine/errors.py:{_line(node)}"
    return found
