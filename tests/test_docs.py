"""The documents name code that exists: every link, and every function named in one."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("benchmarks/*.md")])
LINK = re.compile(r"\[([^\]]+)\]\(\s*([^)#\s]+)[^)]*\)")

# The pages are no part of a wheel: there is nothing to check beside an installed one alone.
pytestmark = pytest.mark.skipif(not PAGES, reason="no documents beside an installed wheel")


def links(page):
    for text, target in LINK.findall(page.read_text(encoding="utf-8")):
        if not target.startswith(("http:", "https:", "mailto:")):
            yield text, (page.parent / target).resolve()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_of_the_project(page):
    missing = [str(target) for _, target in links(page) if not target.exists()]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_functions_named_in_links_are_defined_there(page):
    missing = []
    for text, target in links(page):
        name = text.strip("`").rpartition(".")[2]
        is_code = target.suffix in {".py", ".pyx", ".pxd", ".pxi"} and target.name != "__init__.py"
        if text.startswith("`") and is_code and name.isidentifier():
            source = target.read_text(encoding="utf-8")
            defined = rf"(def|class|cdef[^\n=]*?)\s\*?{name}(\[|\(|:)|^{name}\s*[:=]"
            if not re.search(defined, source, re.MULTILINE):
                missing.append(f"{name} in {target.name}")
    assert not missing


def test_the_derivation_sets_every_formula_beside_its_kernel():
    text = (ROOT / "docs" / "derivation.md").read_text(encoding="utf-8")
    for family in ("affine", "activation", "loss", "update"):
        source = (ROOT / "src" / "bpcore" / "_math" / f"{family}.pxd").read_text(encoding="utf-8")
        assert source
        assert f"_math/{family}.pxd" in text
