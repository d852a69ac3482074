"""The documents say what the code does."""

import re

import pytest
from conftest import ROOT

from wavegan_asmr import config

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("kind", ["model", "training", "machine", "run"])
def test_flags_are_documented(kind):
    text = (ROOT / "docs" / "flags.md").read_text()
    missing = [row for row in config.flag_table(kind) if row not in text]
    assert not missing


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_flags_and_links_exist(path, command):
    text = path.read_text()
    known = set(re.findall(r"--(\w+)", (ROOT / "docs" / "flags.md").read_text()))
    others = {"help", "logdir", "from"}
    assert set(re.findall(r"(?<![\w-])--([a-z]\w+)", text)) <= known | others
    for link in re.findall(r"\]\(([^)#]+)\)", text):
        assert (path.parent / link).exists(), link


def test_every_module_is_installed_and_described():
    modules = {path.stem for path in ROOT.glob("*.py")} - {"setup"}
    assert set(re.findall(r'^        "(\w+)",$', (ROOT / "setup.py").read_text(), re.M)) == modules
    described = set(re.findall(r"`(\w+)\.py`", (ROOT / "docs" / "architecture.md").read_text()))
    assert modules <= described
