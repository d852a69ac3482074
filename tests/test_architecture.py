"""The house: arrows go down, in the package by import-linter (`make lint`), and in the single modules here."""

import ast
import json
import subprocess
import sys

import pytest
from conftest import ROOT

from wavegan_asmr.command_line.main import VERBS

SCRIPTS = ["train_wavegan", "preview", "backup", "generate", "evaluate", "classifier"]

ALLOWED = {
    "wavegan": {"networks"},
    "loader": {"sound", "progress", "errors"},
    "setup": set(),
} | {script: {"command_line"} for script in SCRIPTS}
"""Single module -> the rooms of the package that it may import."""

USERS = {"wavegan": {"families"}, "loader": {"training", "evaluation", "classification", "cases"}}
"""Single module -> the wings that may import it."""

UNWANTED = ["tensorflow", "keras", "numpy", "rich", "msgspec", "librosa", "matplotlib", "soundfile", "scipy", "av"]
"""Libraries whose loading --help must not wait for."""

PACKAGE = ROOT / "wavegan_asmr"


def imported(path):
    """Names of all modules that a file imports, inside functions too, and of those that it loads lazily."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "LazyModule":
            found.add(node.args[0].value)
    return found


def test_the_top_level_holds_what_was_agreed():
    assert {path.stem for path in ROOT.glob("*.py")} == set(ALLOWED)


@pytest.mark.parametrize("module", ALLOWED)
def test_single_modules_import_what_lies_below_them(module):
    names = imported(ROOT / f"{module}.py")
    rooms = {name.split(".")[1] for name in names if name.split(".")[0] == "wavegan_asmr"}
    assert rooms <= ALLOWED[module]
    assert not {name.split(".")[0] for name in names} & set(ALLOWED)


def test_the_package_imports_single_modules_from_above_only():
    for path in PACKAGE.rglob("*.py"):
        room = path.relative_to(PACKAGE).parts[0]
        for module in {name.split(".")[0] for name in imported(path)} & set(ALLOWED):
            assert room in USERS[module], path


def test_scripts_are_one_call():
    for script in SCRIPTS:
        statements = ast.parse((ROOT / f"{script}.py").read_text()).body
        assert len(statements) == 3 and len(statements[2].body) == 1


def test_no_module_is_two_things():
    lengths = {str(path): len(path.read_text().splitlines()) for path in PACKAGE.rglob("*.py")}
    assert not {path: lines for path, lines in lengths.items() if lines > 400}


def loaded_by(*arguments):
    """Which unwanted libraries `python -m wavegan_asmr ARGUMENTS` loads."""
    program = f"""
import json, runpy, sys
sys.argv = ["wavegan", *{list(arguments)!r}]
try:
    runpy.run_module("wavegan_asmr", run_name="__main__")
except SystemExit as error:
    assert not error.code, error.code
print(json.dumps([name for name in {UNWANTED!r} if name in sys.modules]))
"""
    process = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True)
    *help_text, libraries = process.stdout.splitlines()
    assert len(help_text) > 3
    return json.loads(libraries)


@pytest.mark.parametrize("verb", [None, *VERBS])
def test_help_waits_for_no_library(verb):
    assert loaded_by(*filter(None, [verb]), "--help") == []
