"""The page of a whole test set: 982 images, six methods, five samples each."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from afterimage.report import gallery
from tests.browser.opened import Opened, render

IMAGES, SAMPLES = 982, 5
METHODS = ("best", "linear", "oracle", "shuffled", "mean", "text_only")
SORT = (
    "async () => { const sort = document.querySelector('#sort'); sort.value = 'report:pcc';"
    " const begin = performance.now(); sort.dispatchEvent(new Event('input', {bubbles: true}));"
    " while (!location.hash.includes('pcc')) await new Promise(requestAnimationFrame);"
    " return performance.now() - begin; }"
)


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """The page; pictures that are the same are encoded once and copied."""
    known: dict[tuple, list[Path]] = {}
    write = gallery.write_strip

    def write_once(sources, path: Path, large) -> None:
        key = tuple(source if isinstance(source, Path) else id(source) for source in sources)
        if key in known:
            for old, new in zip(known[key], [path, *large], strict=True):
                shutil.copyfile(old, new)
        else:
            write(sources, path, large)
            known[key] = [path, *large]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gallery, "write_strip", write_once)
        return render(
            tmp_path_factory.mktemp("large"),
            n_images=IMAGES,
            n_samples=SAMPLES,
            methods=METHODS,
            size=64,
        )


def best_of(tries: int, measure: Callable[[], float], enough: float) -> float:
    """The lowest of some measurements: whatever else the machine does only adds to them."""
    lowest = measure()
    for _ in range(tries - 1):
        if lowest < enough:
            break
        lowest = min(lowest, measure())
    return lowest


def test_it_is_ready_in_three_seconds_and_sorts_in_one(browser, large):
    sorting: list[float] = []

    def seconds_to_ready() -> float:
        opened = Opened(browser)
        devtools = opened.context.new_cdp_session(opened.page)
        devtools.send("Performance.enable", {"timeDomain": "threadTicks"})
        opened.open(large)
        assert len(opened.ids()) == IMAGES
        ready = opened.page.evaluate("window.readyAfter") / 1000
        metrics = devtools.send("Performance.getMetrics")["metrics"]
        busy = next(m["value"] for m in metrics if m["name"] == "TaskDuration")
        print(f"ready {ready:.2f} s after navigation, main thread busy for {busy:.2f} s")
        assert busy < 3
        sorting.append(opened.page.evaluate(SORT) / 1000)
        opened.context.close()
        assert opened.said == []
        assert opened.failed == []
        return ready

    assert best_of(5, seconds_to_ready, 3) < 3
    print(f"sorted after {min(sorting):.2f} s")
    assert min(sorting) < 1


def test_scrolling_shows_no_blank_tiles(browser, large):
    assert best_of(3, lambda: share_of_blank_tiles(browser, large), 0.02) < 0.02


def share_of_blank_tiles(browser, large) -> float:
    """Scroll 25 times by almost a screen; look at the tiles in view 150 ms after each."""
    opened = Opened(browser)
    opened.open(large, f"#/demo-nsd/subj01?methods={','.join(METHODS)}")
    page = opened.page
    visible = (
        "[...document.querySelectorAll('#rows img')].filter(i => { const b ="
        " i.getBoundingClientRect(); return b.bottom > 0 && b.top < innerHeight; })"
    )
    page.mouse.move(600, 500)
    blank, seen = 0, 0
    for _ in range(25):
        page.mouse.wheel(0, 700)
        page.wait_for_timeout(150)
        counts = page.evaluate(
            f"(() => {{ const v = {visible};"
            " return [v.length, v.filter(i => !(i.complete && i.naturalWidth)).length]; })()"
        )
        seen, blank = seen + counts[0], blank + counts[1]
    print(f"{seen} tiles seen while scrolling, {blank} of them blank after 150 ms")
    assert seen > 100
    # A jump far ahead must fill in too.
    page.evaluate("document.querySelectorAll('.row')[900].scrollIntoView()")
    page.wait_for_function(f"{visible}.every(i => i.complete && i.naturalWidth > 0)")
    opened.context.close()
    assert opened.failed == []
    return blank / seen


def test_its_size_on_disk_is_said_on_the_page(large):
    files = [path for path in large.out.parent.rglob("*") if path.is_file() and path != large.out]
    size = sum(path.stat().st_size for path in files)
    text = large.out.read_text(encoding="utf-8")
    assert f"Beside this page lie {len(files):,} files of {size / 1e6:.0f} MB." in text
    # six strips and one seen picture an image, its large copy, the shards and the grid
    assert len(files) == IMAGES * (len(METHODS) + 2) + len(METHODS) + 1 + 1
