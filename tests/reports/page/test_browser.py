"""The page of a report in a real headless Chromium: what a reader does with it, and what it must not do."""

import csv
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.common.exceptions import NoAlertPresentException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from comparisons import HOSTILE, make_comparison, summarise_groups
from thesis_ml.reports.page import build_page
from thesis_ml.reports.plots import choose_figures, draw_figures, explain_missing

pytestmark = pytest.mark.browser

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
DRIVERS = ("chromedriver", "chromium.chromedriver")
HOW_TO_GET = "no headless Chromium; on Debian: apt-get install chromium chromium-driver"
WAIT_S = 10.0
LOCAL = ("file:", "data:", "blob:", "about:")
COUNT_PIXELS = """
const canvas = document.querySelector("#chart canvas");
const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
const wanted = arguments[0];
let n = 0;
for (let place = 0; place < pixels.length; place += 4) {
  const distance = wanted.reduce((sum, value, channel) => sum + Math.abs(value - pixels[place + channel]), 0);
  n += pixels[place + 3] > 200 && distance < 12;
}
return n;
"""
BLUE, ORANGE = (0x00, 0x77, 0xBB), (0xDD, 0x66, 0x11)


def find_program(names: tuple[str, ...]) -> str:
    """Return where one of the programs is; CI must have it, another machine may not."""
    found = next((path for name in names if (path := shutil.which(name))), None)
    if found is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(HOW_TO_GET)
    return found


@pytest.fixture(scope="module")
def downloads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture(scope="module")
def browser(downloads: Path) -> Iterator[webdriver.Chrome]:
    """One browser for all tests, which logs its console and every request."""
    options = webdriver.ChromeOptions()
    options.binary_location = find_program(BROWSERS)
    for argument in ("--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1200,900"):
        options.add_argument(argument)
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        # Chromium refuses to run as root, as in a container, unless told so.
        options.add_argument("--no-sandbox")
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(find_program(DRIVERS)))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The addresses of a page of 27 runs and of one whose runs mean harm."""
    folder = tmp_path_factory.mktemp("pages")
    large = summarise_groups(make_comparison(9, 3))
    keys = [f"phase1.latent_space.a_key_with_a_long_name_{number}" for number in range(8)]
    large = replace(large, config_differences={key: {run.name: 0.1 for run in large.runs} for key in keys})
    hostile = summarise_groups(make_comparison(9, 1, names=HOSTILE))
    hostile = replace(hostile, verdict=replace(hostile.verdict, sentences=HOSTILE, banners=HOSTILE), inputs=HOSTILE)
    addresses = {}
    for name, comparison in {"large": large, "hostile": hostile}.items():
        names = choose_figures(None)
        figures = draw_figures(comparison, names)
        path = folder / f"{name}.html"
        path.write_text(build_page(comparison, figures, missing=explain_missing(comparison, names)), encoding="utf-8")
        addresses[name] = path.as_uri()
    return addresses


@pytest.fixture
def page(browser: webdriver.Chrome, pages: dict[str, str]) -> webdriver.Chrome:
    """The page of 27 runs, freshly opened in the light on a desk."""
    return open_page(browser, pages["large"])


def open_page(
    browser: webdriver.Chrome, address: str, *, width: int = 1200, scheme: str = "light", media: str = ""
) -> webdriver.Chrome:
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    for kind in ("browser", "performance"):
        browser.get_log(kind)
    browser.get(address)
    return browser


def find(page: webdriver.Chrome, selector: str) -> WebElement:
    return page.find_element(By.CSS_SELECTOR, selector)


def press(page: webdriver.Chrome, selector: str) -> None:
    """Click without minding what the view covers."""
    element = find(page, selector)
    page.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", element)
    element.click()


def read_column(page: webdriver.Chrome, table: str, place: int) -> list[str]:
    script = (
        "return Array.from(document.querySelectorAll(arguments[0]), (row) => row.hidden ? null"
        " : row.cells[arguments[1]].textContent).filter((text) => text !== null)"
    )
    return page.execute_script(script, f"#{table}-table tbody tr", place)


def wait_for(holds: Callable[[], bool]) -> None:
    end_s = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < end_s, "waited too long"
        time.sleep(0.05)


def find_column(page: webdriver.Chrome, table: str, name: str) -> int:
    heads = page.find_elements(By.CSS_SELECTOR, f"#{table}-table thead button")
    return [head.get_attribute("textContent") for head in heads].index(name)


def test_a_click_on_a_head_sorts_and_the_next_one_turns(page: webdriver.Chrome) -> None:
    place = find_column(page, "runs", "rec_mse")
    head = f"#runs-table thead th:nth-child({place + 1})"

    press(page, f"{head} button")
    rising = [float(text) for text in read_column(page, "runs", place)]
    said = find(page, head).get_attribute("aria-sort")
    press(page, f"{head} button")
    falling = [float(text) for text in read_column(page, "runs", place)]

    assert (rising, falling) == (sorted(rising), sorted(rising, reverse=True))
    assert (said, find(page, head).get_attribute("aria-sort")) == ("ascending", "descending")


def test_texts_sort_by_the_numbers_in_them(page: webdriver.Chrome) -> None:
    press(page, "#groups-table thead th:first-child button")

    labels = read_column(page, "groups", 0)

    assert labels[0] == "codebook_size 128, latent_dim 2"
    assert labels[-1] == "codebook_size 2048, latent_dim 32"


def test_blanks_stay_last_in_both_directions(page: webdriver.Chrome) -> None:
    page.execute_script(
        "const cell = document.querySelector('#runs-table tbody tr').cells[arguments[0]];"
        "cell.textContent = ''; delete cell.dataset.value",
        place := find_column(page, "runs", "rec_mse"),
    )
    head = f"#runs-table thead th:nth-child({place + 1}) button"

    for _ in range(2):
        press(page, head)

        assert read_column(page, "runs", place)[-1] == ""


def test_filter_keeps_rows_with_every_word(page: webdriver.Chrome) -> None:
    box = find(page, '[data-filter="tests-table"]')

    box.send_keys("latent_dim 32 TOLD")

    outcomes = read_column(page, "tests", find_column(page, "tests", "outcome"))
    assert outcomes
    assert set(outcomes) == {"cannot be told apart"}
    assert find(page, '[data-count="tests-table"]').text == f"{len(outcomes)} of 36 rows"


def test_group_is_switched_off_and_on_in_the_chart(page: webdriver.Chrome) -> None:
    switch = '.group-switch[data-group="1"]'
    before, others = (page.execute_script(COUNT_PIXELS, colour) for colour in (ORANGE, BLUE))

    press(page, switch)
    wait_for(lambda: page.execute_script(COUNT_PIXELS, ORANGE) == 0)
    pressed = find(page, switch).get_attribute("aria-pressed")
    press(page, switch)

    wait_for(lambda: page.execute_script(COUNT_PIXELS, ORANGE) == before)
    assert before > 100
    assert others > 100
    assert pressed == "false"


def test_single_run_is_switched_off(page: webdriver.Chrome) -> None:
    before = page.execute_script(COUNT_PIXELS, ORANGE)

    press(page, '.run-switch[data-group="1"]')

    wait_for(lambda: 0 < page.execute_script(COUNT_PIXELS, ORANGE) < before)
    assert find(page, '.group-switch[data-group="1"]').get_attribute("aria-pressed") == "true"


def test_all_runs_are_hidden_and_shown_again(page: webdriver.Chrome) -> None:
    before = page.execute_script(COUNT_PIXELS, BLUE)

    press(page, "#show-none")
    wait_for(lambda: page.execute_script(COUNT_PIXELS, BLUE) == 0)
    press(page, "#show-all")

    wait_for(lambda: page.execute_script(COUNT_PIXELS, BLUE) == before > 0)


@pytest.mark.parametrize("selector", ["#quantity option:nth-child(3)", "#against option[value=time]", "#logarithmic"])
def test_chart_is_drawn_anew_for_another_choice(page: webdriver.Chrome, selector: str) -> None:
    read = "return document.querySelector('#chart canvas').toDataURL()"
    before = page.execute_script(read)

    press(page, selector)

    wait_for(lambda: page.execute_script(read) != before)
    assert page.execute_script(COUNT_PIXELS, BLUE) > 100
    assert len(page.find_elements(By.CSS_SELECTOR, "#chart canvas")) == 1


def test_curves_over_decades_start_on_a_logarithmic_axis(page: webdriver.Chrome) -> None:
    is_on = find(page, "#logarithmic").is_selected()

    press(page, "#quantity option:last-child")

    assert is_on
    assert find(page, "#quantity").get_property("value") != "0"
    assert not find(page, "#logarithmic").is_selected()


def test_curve_under_the_pointer_is_named(page: webdriver.Chrome) -> None:
    webdriver.ActionChains(page).scroll_to_element(find(page, "#switches")).perform()
    area = find(page, "#chart .u-over")

    for height in range(-100, 100, 10):
        webdriver.ActionChains(page).move_to_element_with_offset(area, 0, height).perform()
        if "exp_x/" in find(page, "#reading").text:
            break

    assert " at " in find(page, "#reading").text


@pytest.mark.parametrize("name", ["runs.csv", "rec_mse_curves.csv"])
def test_csv_is_downloaded(page: webdriver.Chrome, downloads: Path, name: str) -> None:
    press(page, f'a[download="{name}"]')

    wait_for((downloads / name).exists)
    rows = list(csv.reader((downloads / name).read_text(encoding="utf-8").splitlines()))
    assert len(rows) > 27
    assert "exp_x/000" in {cell for row in rows for cell in row}


def test_page_can_be_used_by_keyboard(page: webdriver.Chrome) -> None:
    place = find_column(page, "runs", "rec_mse")
    button = find(page, f"#runs-table thead th:nth-child({place + 1}) button")
    page.execute_script("arguments[0].previousElementSibling?.focus()", button)
    page.execute_script("document.querySelector('[data-filter=\"runs-table\"]').focus()")

    for _ in range(30):
        page.switch_to.active_element.send_keys(Keys.TAB)
        if page.switch_to.active_element == button:
            break
    page.switch_to.active_element.send_keys(Keys.ENTER)

    numbers = [float(text) for text in read_column(page, "runs", place)]
    assert page.switch_to.active_element == button
    assert numbers == sorted(numbers)
    outline = page.execute_script("return getComputedStyle(document.activeElement).outlineWidth")
    assert float(outline.removesuffix("px")) >= 2


def test_first_tab_leads_to_the_verdict(page: webdriver.Chrome) -> None:
    find(page, "body").send_keys(Keys.TAB)

    assert page.switch_to.active_element.text == "Skip to the verdict"


def test_switches_are_used_by_keyboard(page: webdriver.Chrome) -> None:
    find(page, '.group-switch[data-group="1"]').send_keys(Keys.SPACE)

    wait_for(lambda: page.execute_script(COUNT_PIXELS, ORANGE) == 0)


@pytest.mark.parametrize("name", ["large", "hostile"])
def test_page_requests_nothing_and_complains_of_nothing(
    browser: webdriver.Chrome, pages: dict[str, str], name: str
) -> None:
    page = open_page(browser, pages[name])
    press(page, "#logarithmic")
    page.execute_script("window.scrollTo(0, document.body.scrollHeight)")
    time.sleep(0.5)

    messages = [json.loads(entry["message"])["message"] for entry in page.get_log("performance")]
    urls = [
        message["params"]["request"]["url"] for message in messages if message["method"] == "Network.requestWillBeSent"
    ]

    assert pages[name] in urls
    assert [url for url in urls if not url.startswith(LOCAL)] == []
    assert page.get_log("browser") == []


def test_browser_would_tell_of_a_request_and_of_an_error(page: webdriver.Chrome) -> None:
    page.execute_script("fetch('http://localhost:1/x').catch(() => {})")
    time.sleep(0.3)

    assert page.get_log("browser")


def test_dark_page_is_dark_and_its_chart_too(browser: webdriver.Chrome, pages: dict[str, str]) -> None:
    page = open_page(browser, pages["large"], scheme="dark")
    style = "return getComputedStyle(document.body)"

    background, text = (page.execute_script(f"{style}.{name}") for name in ("backgroundColor", "color"))

    assert background == "rgb(21, 24, 28)"
    assert text == "rgb(228, 232, 236)"
    assert page.execute_script(COUNT_PIXELS, (228, 232, 236)) > 50


@pytest.mark.parametrize("name", ["large", "hostile"])
@pytest.mark.parametrize("width", [320, 390, 768])
def test_narrow_page_does_not_scroll_sideways(
    browser: webdriver.Chrome, pages: dict[str, str], name: str, width: int
) -> None:
    page = open_page(browser, pages[name], width=width)

    assert page.execute_script("return document.documentElement.scrollWidth") <= width
    assert page.execute_script("return document.querySelector('#chart canvas').clientWidth") <= width


def test_printed_page_shows_all_rows_and_no_tools(browser: webdriver.Chrome, pages: dict[str, str]) -> None:
    page = open_page(browser, pages["large"], width=720, media="print")

    boxes = page.find_elements(By.CSS_SELECTOR, ".scroll")

    assert max(box.get_property("scrollHeight") - box.get_property("clientHeight") for box in boxes) <= 2
    assert page.execute_script("return document.documentElement.scrollWidth") <= 720
    assert not find(page, "#runs .tools").is_displayed()
    assert not find(page, "#curves").is_displayed()
    assert find(page, "#figure-rec_mse_curves img").is_displayed()


def test_hostile_names_do_nothing(browser: webdriver.Chrome, pages: dict[str, str]) -> None:
    page = open_page(browser, pages["hostile"])
    press(page, "#runs-table thead th:first-child button")
    find(page, '[data-filter="runs-table"]').send_keys("<script>")
    press(page, "#show-none")
    press(page, "#show-all")

    with pytest.raises(NoAlertPresentException):
        page.switch_to.alert.accept()
    assert read_column(page, "runs", 0) == [f"exp_x/000 {HOSTILE[0]}", f"exp_x/004 {HOSTILE[4]}"]
    assert find(page, "#verdict .first").text == HOSTILE[0]
    assert page.execute_script("return document.scripts.length") == 2


def test_figures_are_seen(page: webdriver.Chrome) -> None:
    widths = page.execute_script("return Array.from(document.images, (image) => image.naturalWidth)")

    assert len(widths) == len(choose_figures(None)) - 1
    assert min(widths) > 100
