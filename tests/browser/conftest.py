"""A page in a real browser: Debian's Chromium, headless, on files from disk."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.opened import Opened, render
from tests.made_run import MadeRun
from tests.required import missing

CHROMIUM = Path(os.environ.get("AFTERIMAGE_CHROMIUM", "/usr/bin/chromium"))


def pytest_collection_modifyitems(items) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in Path(item.fspath).parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session", autouse=True)
def chromium() -> None:
    """Said before a page is made for it."""
    if not CHROMIUM.exists():
        missing(f"no browser at {CHROMIUM}")


@pytest.fixture(scope="session")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"]
        )
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def small(tmp_path_factory) -> MadeRun:
    """Two datasets, one of them simulated, ten images each."""
    return render(
        tmp_path_factory.mktemp("small"),
        n_images=10,
        n_samples=2,
        methods=("best", "linear", "oracle", "shuffled", "mean"),
        subjects={"demo-nsd": ["subj01"], "demo-things": ["sub-01"]},
        simulated={"demo-nsd": True, "demo-things": False},
        size=64,
    )


@pytest.fixture
def opened(browser) -> Iterator[Opened]:
    """A fresh page; at the end nothing was said, and nothing asked of a network."""
    page = Opened(browser)
    yield page
    page.context.close()
    assert page.said == []
    assert page.failed == []
    assert [url for url in page.asked if not url.startswith(("file://", "data:"))] == []
