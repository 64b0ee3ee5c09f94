"""Pages for the browser tests: made up, rendered, opened and listened to."""

from pathlib import Path

import pytest

from tests.made_run import MadeRun, make_run


def render(root: Path, **options) -> MadeRun:
    """Make up a run and its page."""
    import afterimage.datasets
    from workflow_scripts.render_report import main

    run = make_run(root, **options)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(afterimage.datasets, "open_dataset", run.open_dataset)
        main(**run.arguments)
    return run


class Opened:
    """A page with everything that it said and asked for."""

    def __init__(self, browser, **options) -> None:
        options = {"viewport": {"width": 1366, "height": 768}, **options}
        self.context = browser.new_context(**options)
        self.page = self.context.new_page()
        self.page.set_default_timeout(120_000)
        self.said: list[str] = []
        self.asked: list[str] = []
        self.failed: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda problem: self.said.append(str(problem)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("requestfailed", lambda request: self.failed.append(request.url))

    def open(self, run: MadeRun, address: str = "") -> None:
        self.page.goto(f"file://{run.out}{address}")
        self.page.wait_for_selector("html[data-ready=yes]", state="attached")

    def ids(self) -> list[str]:
        return self.page.eval_on_selector_all(".row", "rows => rows.map(r => r.dataset.id)")
