"""The rules of the house that no other tool holds."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILE_LINES_MAX = 300
FUNCTION_LINES_MAX = 50
TEXT_BYTES_MAX = 2_000_000
NOT_OURS = {".git", ".venv", ".bridge", "__pycache__", "build", "dist", ".hypothesis"}
# Put together here, so that this file does not name one itself.
REGISTRIES = [".".join(parts) for parts in (("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"))]
REGISTRY_OPTIONS = re.compile(r"^\s*(--(extra-)?index-url|--find-links|-i\s|-f\s)")
# A silenced rule, and whatever stands behind it: a reason begins with "#", "-" or a bracket.
SILENCED = re.compile(r"#\s*(noqa(: ?[A-Z]+\d+(, ?[A-Z]+\d+)*)?|type: ?ignore(\[[a-z, -]+\])?)(?P<rest>.*)$")
REASON = re.compile(r"\s*(#|-|–|\()\s*\w+")


def sources(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def texts() -> Iterator[tuple[Path, str]]:
    for path in sorted(ROOT.rglob("*")):
        ours = not NOT_OURS & set(path.relative_to(ROOT).parts) and not path.name.endswith("_cache")
        if ours and path.is_file() and path.stat().st_size <= TEXT_BYTES_MAX:
            try:
                yield path, path.read_text()
            except UnicodeDecodeError:
                continue


def name_of(path: Path, line: int | None = None) -> str:
    return f"{path.relative_to(ROOT)}" + (f":{line}" if line else "")


def test_no_file_is_longer_than_a_reader_is_patient() -> None:
    long = {name_of(p): n for p in sources("bridge") if (n := len(p.read_text().splitlines())) > FILE_LINES_MAX}
    assert long == {}


def test_no_function_is_longer_than_a_screen() -> None:
    long = [
        f"{name_of(path, function.lineno)} {function.name}"
        for path in sources("bridge")
        for function in functions(path)
        if (function.end_lineno or function.lineno) - function.lineno + 1 > FUNCTION_LINES_MAX
    ]
    assert long == []


def test_every_module_has_a_charter() -> None:
    assert [name_of(p) for p in sources("bridge") if not ast.get_docstring(ast.parse(p.read_text()))] == []


def test_the_pure_middle_imports_the_standard_library_only() -> None:
    foreign = [
        f"{name_of(path)} {module}"
        for path in sources("bridge/core")
        for module in imported(path)
        if module.split(".")[0] not in sys.stdlib_module_names and not module.startswith("bridge.core")
    ]
    assert foreign == []


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def test_no_file_names_where_packages_come_from() -> None:
    named = [name_of(path) for path, text in texts() if any(registry in text for registry in REGISTRIES)]
    assert named == []


def test_the_pins_are_exact_and_carry_no_address() -> None:
    for path in sorted(ROOT.glob("requirements*.txt")):
        lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
        assert [line for line in lines if REGISTRY_OPTIONS.match(line) or "://" in line] == [], path.name
        assert [line for line in lines if not re.match(r"^[a-z0-9._-]+==[^ ]+( ;.*)?$", line)] == [], path.name


def test_what_is_installed_for_use_is_what_is_tested() -> None:
    for_use = set((ROOT / "requirements.txt").read_text().splitlines())
    assert for_use <= set((ROOT / "requirements-dev.txt").read_text().splitlines())


def unexplained(text: str) -> list[int]:
    """The lines that silence a rule without a reason behind it."""
    found = ((number, SILENCED.search(line)) for number, line in enumerate(text.splitlines(), 1))
    return [n for n, match in found if match and not REASON.match(match["rest"])]


def test_every_silenced_rule_has_its_reason_beside_it() -> None:
    bare = [
        name_of(path, number)
        for path in sources("bridge", "tests", "bench", "migrations")
        if path != Path(__file__)
        for number in unexplained(path.read_text())
    ]
    assert bare == []


@pytest.mark.parametrize(
    "line, told",
    [
        ("x = 1  # noqa: S108  # mkdtemp makes it private", True),
        ("x = 1  # type: ignore[misc]  # the point of the test", True),
        ("x = 1  # noqa: S608 - the columns are named above", True),
        ("x = 1  # noqa: N815 (the venue's name)", True),
        ("x = 1  # noqa: S108", False),
        ("x = 1  # noqa", False),
        ("x = 1  # type: ignore[misc]", False),
        ("x = 1  # type: ignore", False),
    ],
)
def test_a_reason_is_known_when_seen(line: str, told: bool) -> None:
    assert unexplained(line) == ([] if told else [1])
