"""The documents say what the code does."""

import re

import pytest
from conftest import ROOT

from docs import models_page, tables

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *(ROOT / "models").glob("*.md")]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_tables_are_what_is_declared(path):
    text = path.read_text()
    assert tables.write(text) == text, "python -m docs.tables"


def test_the_page_on_models_is_what_their_folders_hold():
    there = models_page.PAGE.read_text() if models_page.PAGE.exists() else None
    assert there == models_page.text(), "python -m docs.tables"


def test_every_table_is_shown():
    shown = set(re.findall(r"<!-- table (\S+) -->", "".join(path.read_text() for path in DOCUMENTS)))
    assert shown == set(tables.TABLES)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_flags_and_links_exist(path, command):
    text = path.read_text()
    known = set(re.findall(r"--(\w+)", (ROOT / "docs" / "flags.md").read_text()))
    others = {"help", "logdir", "from", "head"}
    assert set(re.findall(r"(?<![\w-])--([a-z]\w+)", text)) <= known | others
    for link in re.findall(r"\]\(([^)#]+)\)", text):
        assert (path.parent / link).exists(), link


def test_every_wing_is_described():
    text = (ROOT / "docs" / "architecture.md").read_text()
    described = set(re.findall(r"`(?:wavegan_asmr/)?([\w/]+(?:\.py|/))`", text))
    package = ROOT / "wavegan_asmr"
    wings = {f"{path.name}/" for path in package.iterdir() if (path / "__init__.py").exists()}
    modules = {path.name for path in package.glob("[!_]*.py")}
    assert wings | modules <= described
