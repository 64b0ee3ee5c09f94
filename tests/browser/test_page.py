"""What a person does on the page, in Chromium."""

import pandas as pd
import pytest

from afterimage.report import gallery
from tests.browser.opened import Opened, render


def wait_for_rows(page, count: int) -> None:
    page.wait_for_function(f"document.querySelectorAll('.row').length === {count}")


def loaded(page) -> None:
    """Wait until every picture in view is there, and fail on one that is broken."""
    page.wait_for_function(
        "[...document.querySelectorAll('#rows img')].filter(i => {"
        " const b = i.getBoundingClientRect(); return b.bottom > 0 && b.top < innerHeight; })"
        ".every(i => i.complete && i.naturalWidth > 0)"
    )


def best_pcc(run, subject=("demo-nsd", "subj01")) -> pd.Series:
    table = pd.read_parquet(run.results / subject[0] / subject[1] / "scores/images-best.parquet")
    table = table[(table["protocol"] == "report") & (table["metric"] == "pcc")]
    return table.groupby("image_id")["value"].mean()


def test_it_opens_from_disk_and_shows_its_pictures(opened, small):
    opened.open(small)
    assert opened.page.title() == "Pictures from brain activity"
    assert len(opened.ids()) == 10
    opened.page.locator("#gallery").scroll_into_view_if_needed()
    loaded(opened.page)
    assert opened.page.locator(".simulated-band").is_visible()


def test_sorting_follows_the_scores(opened, small):
    opened.open(small)
    opened.page.select_option("#sort", "report:pcc")
    opened.page.select_option("#order", "worst")
    opened.page.wait_for_function("location.hash.includes('order=worst')")
    expected = list(best_pcc(small).sort_values().index)
    assert opened.ids() == expected
    opened.page.select_option("#order", "best")
    opened.page.wait_for_function("!location.hash.includes('order=worst')")
    assert opened.ids() == expected[::-1]


def test_sorting_by_lower_is_better_and_by_distance(opened, small):
    opened.open(small, "#/demo-nsd/subj01?sort=report:lpips_alex&of=linear")
    folder = small.results / "demo-nsd/subj01/scores"
    table = pd.read_parquet(folder / "images-linear.parquet")
    lpips = table[table["metric"] == "lpips_alex"].groupby("image_id")["value"].mean()
    assert opened.ids() == list(lpips.sort_values().index)
    opened.page.select_option("#sort", "distance:image_latent")
    opened.page.wait_for_function("location.hash.includes('distance:image_latent')")
    far = pd.read_parquet(folder / "novelty.parquet").set_index("image_id")["distance"]
    assert opened.ids() == list(far.sort_values().index)
    shown = opened.page.locator(".row .far").first.inner_text()
    assert shown == f"to training: {far.min():.3f} (image latent)"


def test_sorting_by_the_gain_over_the_shuffled_control(opened, small):
    # the control is not among the methods shown, and LPIPS is better where it is lower
    view = "sort=gain:report:lpips_alex&of=linear&order=worst&methods=best"
    opened.open(small, f"#/demo-nsd/subj01?{view}")
    folder = small.results / "demo-nsd/subj01/scores"
    means = []
    for method in ("linear", "shuffled"):
        table = pd.read_parquet(folder / f"images-{method}.parquet")
        table = table[table["metric"] == "lpips_alex"]
        means.append(table.groupby("image_id")["value"].mean())
    # the page's numbers have four digits: what differs by less may stand in either order
    gain = (means[1] - means[0])[opened.ids()]
    assert (gain.diff().dropna() > -2e-4).all()
    assert gain.iloc[-1] - gain.iloc[0] > 0.05
    shown = opened.page.locator(".row .gain").first.inner_text()
    assert shown == f"gain over shuffled: {gain.iloc[0]:.3f}".replace("-", "−")
    opened.page.select_option("#order", "best")
    opened.page.wait_for_function("!location.hash.includes('order=worst')")
    assert (gain[opened.ids()].diff().dropna() < 2e-4).all()
    options = "[...document.querySelector('#order').options].map(o => o.textContent)"
    assert opened.page.evaluate(options) == ["most first", "least first"]


def test_filtering_by_words_and_ids(opened, small):
    opened.open(small)
    texts = small.datasets["demo-nsd"].texts
    word = texts["2950"][0].split()[-1]
    expected = {name for name, said in texts.items() if word in " ".join([name, *said])}
    opened.page.fill("#find", word)
    wait_for_rows(opened.page, len(expected))
    assert set(opened.ids()) == expected
    opened.page.fill("#find", "2987")
    wait_for_rows(opened.page, 1)
    assert opened.page.locator("#count").inner_text().startswith("1 of 10 images")
    opened.page.fill("#find", "zebra")
    wait_for_rows(opened.page, 0)


def test_methods_can_be_switched(opened, small):
    opened.open(small)
    first = opened.page.locator(".row").first
    names = first.locator("figcaption").all_inner_texts()
    assert [name.rsplit(" ", 1)[0] for name in names] == [
        "Oracle",
        "Best decoder",
        "Linear",
        "Shuffled",
    ]
    count = "document.querySelector('.row').querySelectorAll('figure').length"
    opened.page.uncheck("#shown input[value=linear]")
    opened.page.wait_for_function(f"{count} === 3")
    opened.page.check("#shown input[value=mean]")
    opened.page.wait_for_function(f"{count} === 4")
    opened.open(small, "#/demo-nsd/subj01?methods=best")
    opened.page.wait_for_function(f"{count} === 1")


def test_the_first_sample_alone_is_the_left_of_the_strip(opened, small):
    opened.open(small)
    tile = opened.page.locator(".row .made .tile").first
    assert tile.evaluate("t => t.clientWidth / t.clientHeight") == pytest.approx(2, abs=0.05)
    opened.page.select_option("#samples", "first")
    opened.page.wait_for_function("location.hash.includes('samples=first')")
    tile = opened.page.locator(".row .made .tile").first
    assert tile.evaluate("t => t.clientWidth / t.clientHeight") == pytest.approx(1, abs=0.05)


def test_subjects_can_be_switched_and_measured_data_are_not_called_simulated(opened, small):
    opened.open(small)
    assert "simulated" in opened.page.locator("#count").inner_text()
    opened.page.select_option("#subject", "demo-things/sub-01")
    opened.page.wait_for_function(
        "!document.querySelector('#count').textContent.includes('simulated')"
    )
    assert set(opened.ids()) == set(small.datasets["demo-things"].pictures)


def test_a_link_to_an_image_opens_it(opened, small):
    opened.open(small, "#/demo-things/sub-01/" + next(iter(small.datasets["demo-things"].pictures)))
    name = next(iter(small.datasets["demo-things"].pictures))
    assert opened.page.locator("#viewer").is_visible()
    assert name in opened.page.locator("#viewer-title").inner_text()
    opened.page.wait_for_function(
        "[...document.querySelectorAll('#viewer img')].every(i => i.naturalWidth > 100)"
    )
    assert opened.page.locator("#viewer .samples figure").count() == 8
    row = opened.page.locator("#viewer tbody tr").first.inner_text()
    assert row.startswith("Pixel correlation (report)")
    assert f"{best_pcc(small, ('demo-things', 'sub-01'))[name]:.3f}" in row


def test_an_unknown_image_is_said_to_be_unknown(opened, small):
    opened.open(small, "#/demo-nsd/subj01/999")
    assert "No image 999" in opened.page.locator("#count").inner_text()
    assert not opened.page.locator("#viewer").is_visible()


def test_an_unknown_subject_is_said_to_be_unknown(opened, small):
    opened.open(small, "#/demo-nsd/subj99/2987")
    assert opened.page.locator("#count").inner_text() == "No subject demo-nsd, subj99 on this page"
    assert not opened.page.locator("#viewer").is_visible()
    assert len(opened.ids()) == 10
    # and in a page that is open already
    opened.page.evaluate("location.hash = '#/demo-nsd/subj01/2987'")
    opened.page.wait_for_selector("#viewer[open]")
    opened.page.evaluate("location.hash = '#/demo-nsd'")
    opened.page.wait_for_selector("#viewer", state="hidden")
    assert opened.page.locator("#count").inner_text().startswith("No subject demo-nsd")


def test_an_address_that_cannot_be_decoded_breaks_nothing(opened, small):
    opened.open(small, "#/demo-nsd/subj01/%E0%A4%A")
    assert "No image %E0%A4%A" in opened.page.locator("#count").inner_text()
    assert len(opened.ids()) == 10


def test_a_followed_link_to_an_image_shows_the_methods_that_it_names(opened, small):
    opened.open(small)
    opened.page.evaluate("location.hash = '#/demo-nsd/subj01/2987?methods=mean,linear'")
    opened.page.wait_for_selector("#viewer[open]")
    headings = opened.page.locator("#viewer .by-method h3")
    names = [text.splitlines()[0].split("  ")[0] for text in headings.all_inner_texts()]
    assert [name.split()[0] for name in names] == ["Linear", "Mean"]
    # one that names none keeps what is shown
    opened.page.evaluate("location.hash = '#/demo-nsd/subj01/3024'")
    opened.page.wait_for_function(
        "document.querySelector('#viewer-title').textContent.includes('3024')"
    )
    assert headings.count() == 2


def test_a_click_on_a_picture_keeps_the_view_in_the_address(opened, small):
    view = "sort=report:pcc&of=linear&methods=mean"
    opened.open(small, f"#/demo-nsd/subj01?{view}")
    first = opened.ids()[0]
    picture = opened.page.locator(".row .what a.tile").first
    assert picture.get_attribute("href") == f"#/demo-nsd/subj01/{first}"
    picture.click()
    opened.page.wait_for_selector("#viewer[open]")
    address = opened.page.evaluate("location.hash")
    path, _, query = address.partition("?")
    assert path == f"#/demo-nsd/subj01/{first}"
    assert sorted(query.split("&")) == sorted(view.split("&"))


def test_the_keyboard_is_enough(opened, small):
    opened.open(small)
    page = opened.page
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "find"
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("j")
    page.keyboard.press("j")
    assert page.evaluate("document.activeElement.closest('.row').dataset.position") == "1"
    page.keyboard.press("Enter")
    page.wait_for_selector("#viewer[open]")
    second = page.locator("#viewer-title").inner_text()
    page.keyboard.press("ArrowRight")
    page.wait_for_function(f"document.querySelector('#viewer-title').textContent !== {second!r}")
    page.keyboard.press("ArrowLeft")
    page.wait_for_function(f"document.querySelector('#viewer-title').textContent === {second!r}")
    page.keyboard.press("Escape")
    page.wait_for_selector("#viewer", state="hidden")
    assert page.evaluate("document.activeElement.closest('.row').dataset.position") == "1"
    assert "/2987" not in page.evaluate("location.hash")


def test_the_arrow_keys_work_wherever_the_enlarged_view_was_left(opened, small):
    opened.open(small)
    page = opened.page
    ids = opened.ids()

    def press(key: str, image_id: str) -> None:
        page.keyboard.press(key)
        page.wait_for_function(
            f"document.querySelector('#viewer-title').textContent.startsWith('Image {image_id} ')",
            timeout=5000,
        )
        # Chromium takes the focus from a disabled button only when it draws.
        page.evaluate("new Promise(requestAnimationFrame)")

    # the first image: there is none before it, so that button is disabled
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_selector("#viewer[open]")
    page.evaluate("new Promise(requestAnimationFrame)")
    press("ArrowRight", ids[1])
    # after a sample was enlarged, whose button the next image replaces
    page.locator("#viewer .samples button").first.click()
    assert page.locator("#viewer .zoom").count() == 1
    for place in (2, 3, 4):
        press("ArrowRight", ids[place])
    # the last image, come to by the button, which is then disabled
    for _ in range(5, len(ids)):
        page.click("#next")
        page.evaluate("new Promise(requestAnimationFrame)")
    assert page.locator("#next").is_disabled()
    press("ArrowLeft", ids[-2])
    # a button that can be used again and again keeps the focus
    page.locator("#previous").focus()
    press("Enter", ids[-3])
    press("Enter", ids[-4])


def test_the_back_button_closes_the_enlarged_view(opened, small):
    opened.open(small, "#gallery")
    opened.page.locator(".row .what a.tile").nth(3).click()
    opened.page.wait_for_selector("#viewer[open]")
    opened.page.go_back()
    opened.page.wait_for_selector("#viewer", state="hidden")


def test_every_link_of_the_five_questions_leads_somewhere(opened, small):
    opened.open(small)
    links = opened.page.eval_on_selector_all(
        ".answers a", "all => all.map(a => a.getAttribute('href'))"
    )
    assert len(links) >= 5
    for link in links:
        assert link.startswith("#")
        if not link.startswith("#/"):
            assert opened.page.locator(link).count() == 1
    for key in ("demo-nsd/subj01", "demo-things/sub-01"):
        worst = f"#/{key}?sort=gain:report:lpips_alex&of=best&order=worst"
        opened.page.locator(f".answers a[href='{worst}']").click()
        opened.page.wait_for_function(f"document.querySelector('#subject').value === '{key}'")
        assert opened.page.locator("#sort").input_value() == "gain:report:lpips_alex"
        assert opened.page.locator("#order").input_value() == "worst"
    single = next(link for link in links if link.count("/") == 3)
    opened.page.locator(f".answers a[href='{single}']").first.click()
    opened.page.wait_for_selector("#viewer[open]")


def test_colours_follow_the_system_and_the_button(browser, small):
    page = Opened(browser, color_scheme="dark")
    page.open(small)
    paper = "getComputedStyle(document.body).backgroundColor"
    dark = page.page.evaluate(paper)
    page.page.click("#theme")
    light = page.page.evaluate(paper)
    page.page.click("#theme")
    assert page.page.evaluate(paper) == dark != light
    text = page.page.evaluate("getComputedStyle(document.querySelector('.chart svg text')).fill")
    assert sum(int(part) for part in text[4:-1].split(",")) > 500
    page.context.close()
    assert page.said == []


def test_everything_has_a_name_and_enough_contrast(opened, small):
    opened.open(small)
    unnamed = opened.page.evaluate(
        "[...document.querySelectorAll('img')].filter(i => !i.hasAttribute('alt')).length"
        " + [...document.querySelectorAll('#rows img')].filter(i => !i.alt).length"
        " + [...document.querySelectorAll('[role=img]')].filter(i => !i.ariaLabel).length"
        " + [...document.querySelectorAll('select,input')].filter(i => !i.labels.length).length"
        " + [...document.querySelectorAll('button')].filter(b => !b.ariaLabel).length"
    )
    assert unnamed == 0
    for theme in ("light", "dark"):
        opened.page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
        colours = opened.page.evaluate(
            "(() => { const s = getComputedStyle(document.documentElement);"
            " return ['--paper','--ink','--muted','--accent','--good','--bad',"
            " '--warn','--warn-ink']"
            ".map(n => s.getPropertyValue(n).trim()); })()"
        )
        paper, *inks, warn, warn_ink = colours
        assert all(contrast(ink, paper) >= 4.5 for ink in inks)
        assert contrast(warn, warn_ink) >= 4.5


def contrast(first: str, second: str) -> float:
    """WCAG's contrast ratio of two colours written #rrggbb."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    bright, dim = sorted((luminance(first), luminance(second)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


def test_a_page_moved_away_from_its_results_still_shows_small_pictures(
    browser, tmp_path, monkeypatch
):
    import shutil

    monkeypatch.setattr(gallery, "COPY_LIMIT", 1)
    run = render(tmp_path, n_images=3, n_samples=3, methods=("best",), size=48)
    page = Opened(browser)
    page.open(run, "#/demo-nsd/subj01/2950")
    large = "document.querySelector('.samples img').src"
    page.page.wait_for_function("document.querySelector('.samples img').naturalWidth > 0")
    assert page.page.evaluate(large).endswith("/reconstructions/best/shard0of1/2950_0.png")
    shutil.rmtree(run.results / "demo-nsd")
    page.open(run, "#/demo-nsd/subj01/2987")
    samples = "[...document.querySelectorAll('.samples img')]"
    small = "i => i.src.endsWith('2987.webp') && i.naturalWidth > 0"
    page.page.wait_for_function(f"{samples}.length === 3 && {samples}.every({small})")
    # Each shows its own part of the strip, which is three squares wide.
    assert page.page.evaluate(f"{samples}.map(i => i.naturalWidth / i.naturalHeight)") == [3, 3, 3]
    placed = "i => { const s = getComputedStyle(i); return s.objectFit + ' ' + s.objectPosition; }"
    assert page.page.evaluate(f"{samples}.map({placed})") == [
        "cover 0% 0px",
        "cover 50% 0px",
        "cover 100% 0px",
    ]
    assert page.page.evaluate(f"{samples}.map(i => i.clientWidth - i.clientHeight)") == [0, 0, 0]
    page.context.close()


def test_nothing_is_wider_than_a_narrow_window(browser, small):
    page = Opened(browser, viewport={"width": 420, "height": 900})
    page.open(small)
    # Tables and charts scroll within their own boxes; the page does not.
    assert page.page.evaluate("document.documentElement.scrollWidth") <= 420
    assert page.page.evaluate("getComputedStyle(document.querySelector('#controls')).position") == (
        "static"
    )
    page.open(small, "#/demo-nsd/subj01/2950")
    assert page.page.evaluate(
        "(v => v.scrollWidth <= v.clientWidth)(document.querySelector('#viewer'))"
    )
    page.context.close()
    assert page.said == []


def test_three_samples_fit_a_phone_and_the_gallery_is_two_tabs_away(browser, tmp_path):
    run = render(tmp_path, n_images=3, n_samples=3, methods=("best", "shuffled"), size=48)
    page = Opened(browser, viewport={"width": 320, "height": 700})
    page.open(run)
    assert page.page.evaluate("document.documentElement.scrollWidth") <= 320
    page.page.keyboard.press("Tab")
    page.page.keyboard.press("Tab")
    page.page.keyboard.press("Enter")
    page.page.keyboard.press("Tab")
    page.page.wait_for_function("!!document.activeElement.closest('.row')", timeout=5000)
    page.context.close()
    assert page.said == []


def test_what_is_sorted_by_names_the_orders(opened, small):
    opened.open(small)
    page = opened.page
    orders = "[...document.querySelector('#order').options].map(o => o.textContent)"
    assert page.evaluate(orders) == ["upwards", "downwards"]
    assert not page.locator("#of").is_visible()
    page.select_option("#sort", "report:lpips_alex")
    page.wait_for_function(f"{orders}[0] === 'best first'")
    assert page.locator("#of").is_visible()
    assert "LPIPS (AlexNet) (report)" in page.locator("#numbers").inner_text()
    page.select_option("#sort", "distance:image_latent")
    page.wait_for_function(f"{orders}[1] === 'farthest first'")


def test_no_setting_runs_into_its_value(opened, small):
    opened.open(small)
    opened.page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    assert opened.page.locator(".settings dt").first.is_visible()
    wide = opened.page.evaluate(
        "[...document.querySelectorAll('.settings dt, .settings dd')]"
        ".filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.textContent)"
    )
    assert wide == []


def test_what_another_system_made_is_named_as_such(browser, tmp_path):
    methods = ("best", "shuffled", "their_method")
    run = render(tmp_path, n_images=4, n_samples=1, methods=methods, size=48)
    page = Opened(browser)
    page.open(run)
    named = "their method (other system)"
    captions = page.page.locator(".row").first.locator("figcaption").all_inner_texts()
    assert any(text.startswith(named) for text in captions)
    assert page.page.locator("#shown label", has_text=named).count() == 1
    assert page.page.locator("#headline th", has_text=named).count() == 1
    assert page.page.locator("#methods dd", has_text="another system made").count() == 1
    page.context.close()
    assert page.said == []
