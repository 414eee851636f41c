"""What is made from the code is current; every verb is explained; every link leads somewhere."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from .console import ROOT
from .test_commands import PAGES, named

REFERENCE = ROOT / "docs" / "reference"
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\((?P<to>[^)\s]+)\)|!\[[^\]]*\]\((?P<image>[^)\s]+)\)")


@pytest.fixture(scope="module")
def monkeypatch_module() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def made(monkeypatch_module: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch_module.syspath_prepend(str(ROOT / "scripts"))
    path = str(ROOT / "scripts" / "docs-reference")
    loader = importlib.machinery.SourceFileLoader("docs_reference", path)
    spec = importlib.util.spec_from_loader("docs_reference", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def test_the_generated_pages_are_current(made: ModuleType):
    pages = made.pages()
    stale = [
        n for n, text in pages.items() if not (REFERENCE / n).is_file() or (REFERENCE / n).read_text() != text
    ]
    assert stale == [], "type: scripts/docs-reference"
    schemas = {str(p.relative_to(REFERENCE)) for p in (REFERENCE / "json").iterdir()}
    assert schemas <= set(pages), "schemas that nothing prints any more"


def test_every_error_is_on_its_page_with_its_exit_code(made: ModuleType):
    page = (REFERENCE / "errors.md").read_text()
    kinds = made.error_classes()
    assert len(kinds) >= 20
    for kind in kinds:
        row = next((line for line in page.splitlines() if f"| `{kind.__name__}` |" in line), None)
        assert row, kind.__name__
        assert f"[{int(kind.exit_code)}]" in row and kind.__doc__.split("\n")[0][:40] in row


def test_every_rule_of_the_code_is_on_the_page_of_findings():
    source = ROOT / "src" / "backout"
    ids = {i for p in source.rglob("*.py") for i in re.findall(r'rule="([a-z.-]+)"', p.read_text())}
    page = (REFERENCE / "findings.md").read_text()
    assert len(ids) >= 10
    assert {i for i in ids if f"| `{i}` |" not in page} == set()


def test_every_exit_code_is_on_its_page():
    from backout.errors import ExitCode

    page = (REFERENCE / "exit-codes.md").read_text()
    assert [c for c in ExitCode if f"| {int(c)} | {c.name} | " not in page] == []
    assert " |  | " not in page, "a code has no meaning"


def test_every_verb_is_in_a_page_that_a_person_wrote(made: ModuleType):
    written = "\n".join(p.read_text() for p in PAGES if "Made by scripts/docs-reference" not in p.read_text())
    verbs = [name for name, _ in made.help_texts()]
    assert len(verbs) >= 16
    assert [verb for verb in verbs if f"`{verb}" not in written and f"$ {verb}" not in written] == []


def test_every_verb_says_what_its_json_is(made: ModuleType):
    assert {name for name, _ in made.help_texts()} == set(importlib.import_module("docs_json").VERBS)


def test_every_verb_has_its_method_on_the_page_of_the_library(made: ModuleType):
    page = (REFERENCE / "library.md").read_text()
    verbs = [name.removeprefix("backout ") for name, _ in made.help_texts()]
    assert [verb for verb in verbs if f"`{verb}`" not in page] == []


def test_every_help_has_an_example_and_json(made: ModuleType):
    for name, text in made.help_texts():
        if name != "backout":
            assert f"Example: {name}" in text, name
        assert "--json" in text, name


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_somewhere(page: Path):
    dead = []
    for found in _LINK.finditer(_without_code(page.read_text())):
        target = found["to"] or found["image"]
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        name, _, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        if not path.exists() or (anchor and path.suffix == ".md" and anchor not in _anchors(path)):
            dead.append(target)
    assert dead == []


def test_every_page_can_be_reached_from_the_readme():
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached:
            continue
        reached.add(page)
        for found in _LINK.finditer(_without_code(page.read_text())):
            path = (page.parent / (found["to"] or "").partition("#")[0]).resolve()
            if path.is_dir():
                waiting += path.glob("*.md")
            elif path.suffix == ".md" and path.is_file():
                waiting.append(path)
    assert [named(p) for p in PAGES if p not in reached] == []


def _without_code(text: str) -> str:
    return re.sub(r"^```.*?^```$|`[^`\n]*`", "", text, flags=re.DOTALL | re.MULTILINE)


def _anchors(path: Path) -> set[str]:
    """Return the anchors that a page's headings get, as common Markdown renderers make them."""
    text = re.sub(r"^```.*?^```$", "", path.read_text(), flags=re.DOTALL | re.MULTILINE)
    heads = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).strip().replace(" ", "-") for h in heads}
