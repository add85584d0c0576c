"""The page of a report in a real headless Chromium: what a reader does with it, and what it must not do."""

import base64
import csv
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.common.exceptions import NoAlertPresentException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from comparisons import HOSTILE, make_comparison, summarise_groups
from report_pages import make_hostile_report, make_page, make_report, make_separation

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
LIST_OPEN = (
    "return Array.from(document.querySelectorAll('details.section[open], details.panel[open]'), (one) => one.id)"
)
MEASURE_CONTRAST = """
const measure = (text) => {
  const parts = text.match(/[\\d.]+/g).map(Number).slice(0, 3).map((part) => part / 255);
  const [red, green, blue] = parts.map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
};
return Array.from(document.querySelectorAll(".heat td[class*=heat-]"), (cell) => {
  const style = getComputedStyle(cell);
  const back = style.backgroundColor === "rgba(0, 0, 0, 0)" ? getComputedStyle(document.body).backgroundColor
    : style.backgroundColor;
  const [dark, light] = [measure(style.color), measure(back)].sort((first, second) => first - second);
  return (light + 0.05) / (dark + 0.05);
});
"""


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
    for argument in ("--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1440,900"):
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
    """The addresses of a page of 27 runs with a matrix and of one whose runs mean harm."""
    folder = tmp_path_factory.mktemp("pages")
    comparison = summarise_groups(make_comparison(9, 3))
    separation = make_separation([group.label for group in comparison.groups])
    reports = {"large": make_report(comparison, None, [separation]), "hostile": make_hostile_report(HOSTILE)}
    addresses = {}
    for name, report in reports.items():
        path = folder / f"{name}.html"
        path.write_text(make_page(report), encoding="utf-8", errors="replace")
        addresses[name] = path.as_uri()
    return addresses


@pytest.fixture
def page(browser: webdriver.Chrome, pages: dict[str, str]) -> webdriver.Chrome:
    """The page of 27 runs, freshly opened in the light on a desk."""
    return open_page(browser, pages["large"])


@pytest.fixture
def training(browser: webdriver.Chrome, pages: dict[str, str]) -> webdriver.Chrome:
    """The same with the section of the chart open."""
    return open_page(browser, f"{pages['large']}#training")


@pytest.fixture
def runs(browser: webdriver.Chrome, pages: dict[str, str]) -> webdriver.Chrome:
    """The same with the section on runs open."""
    return open_page(browser, f"{pages['large']}#runs")


def open_page(
    browser: webdriver.Chrome, address: str, *, width: int = 1440, scheme: str = "light", media: str = ""
) -> webdriver.Chrome:
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    # Another fragment alone would not load the page anew.
    browser.get("about:blank")
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
    heads = page.find_elements(By.CSS_SELECTOR, f"#{table}-table thead th")
    return [head.get_attribute("textContent").strip() for head in heads].index(name)


def list_open(page: webdriver.Chrome) -> list[str]:
    return page.execute_script(LIST_OPEN)


def test_first_screen_holds_scoreboard_checks_and_key_figure(page: webdriver.Chrome) -> None:
    for selector in ("#scoreboard-table", ".checks .passed", ".key img"):
        box = find(page, selector).rect

        assert box["height"] > 0
        assert box["y"] < 900
    assert find(page, ".key img").rect["y"] + find(page, ".key img").rect["height"] <= 900
    assert list_open(page) == []


def test_a_click_on_a_head_sorts_and_the_next_one_turns(runs: webdriver.Chrome) -> None:
    place = find_column(runs, "runs", "rec_mse")
    head = f"#runs-table thead th:nth-child({place + 1})"

    press(runs, f"{head} button")
    rising = [float(text) for text in read_column(runs, "runs", place)]
    said = find(runs, head).get_attribute("aria-sort")
    press(runs, f"{head} button")
    falling = [float(text) for text in read_column(runs, "runs", place)]

    assert (rising, falling) == (sorted(rising), sorted(rising, reverse=True))
    assert (said, find(runs, head).get_attribute("aria-sort")) == ("ascending", "descending")


def test_texts_sort_by_the_numbers_in_them(page: webdriver.Chrome) -> None:
    press(page, "#scoreboard-table thead th:first-child button")

    labels = read_column(page, "scoreboard", 0)

    assert labels[0] == "codebook_size 128, latent_dim 2"
    assert labels[-1] == "codebook_size 2048, latent_dim 32"


def test_numbers_with_an_exponent_sort_by_their_value(runs: webdriver.Chrome) -> None:
    place = find_column(runs, "runs", "rec_mse")
    texts = ["(1.2 ± 0.3)e-05", "2e-06", "0.5 ± 0.1"]
    runs.execute_script(
        "arguments[0].forEach((text, row) => {"
        " document.querySelector('#runs-table').tBodies[0].rows[row].cells[arguments[1]].textContent = text; })",
        texts,
        place,
    )

    press(runs, f"#runs-table thead th:nth-child({place + 1}) button")

    found = read_column(runs, "runs", place)
    assert [text for text in found if text in texts] == [texts[1], texts[0], texts[2]]
    assert found[:2] == [texts[1], texts[0]]


def test_blanks_stay_last_in_both_directions(runs: webdriver.Chrome) -> None:
    place = find_column(runs, "runs", "rec_mse")
    runs.execute_script(
        "const cell = document.querySelector('#runs-table tbody tr').cells[arguments[0]];"
        "cell.textContent = ''; cell.classList.remove('n')",
        place,
    )

    for _ in range(2):
        press(runs, f"#runs-table thead th:nth-child({place + 1}) button")

        assert read_column(runs, "runs", place)[-1] == ""


def test_filter_keeps_rows_with_every_word(training: webdriver.Chrome) -> None:
    find(training, '[data-filter="pairs-table"]').send_keys("latent_dim 32 NOT")

    outcomes = read_column(training, "pairs", find_column(training, "pairs", "outcome"))

    assert set(outcomes) <= {"not significant"}
    assert find(training, '[data-count="pairs-table"]').text == f"{len(outcomes)} of 36 rows"


def test_numbers_of_a_column_stand_with_their_points_above_each_other(training: webdriver.Chrome) -> None:
    script = """
    const cells = document.querySelectorAll('#all_numbers-table td:nth-child(3)');
    return Array.from(cells, (cell) => cell.querySelectorAll('span')[1].getBoundingClientRect().left);
    """

    places = training.execute_script(script)

    assert len(places) == 9
    assert max(places) - min(places) < 0.5


def test_columns_are_hidden_and_shown_again(training: webdriver.Chrome) -> None:
    box = '[data-column="all_numbers-table"]'
    cell = "#all_numbers-table tbody td"
    choices = f".columns:has({box})"

    press(training, f"{choices} summary")
    press(training, box)
    hidden = find(training, cell).is_displayed()
    press(training, box)
    shown = find(training, cell).is_displayed()
    find(training, box).send_keys(Keys.ESCAPE)

    assert (hidden, shown) == (False, True)
    assert not find(training, f"{choices} .choices").is_displayed()


def test_columns_of_a_group_are_hidden_with_their_head(browser: webdriver.Chrome, pages: dict[str, str]) -> None:
    page = open_page(browser, f"{pages['large']}#separation")
    table = "#separation-table"

    press(page, "#separation .columns summary")
    press(page, '[data-column="separation-table"]')

    assert not find(page, f"{table} thead th[colspan]").is_displayed()
    assert not find(page, f"{table} tbody td:nth-child(3)").is_displayed()
    assert find(page, f"{table} tbody td:nth-child(4)").is_displayed()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_heat_map_can_be_read(browser: webdriver.Chrome, pages: dict[str, str], scheme: str) -> None:
    page = open_page(browser, f"{pages['large']}#separation", scheme=scheme)

    contrasts = page.execute_script(MEASURE_CONTRAST)

    assert len(contrasts) > 20
    assert min(contrasts) >= 4.5


def test_first_column_and_heads_stay_when_a_table_is_scrolled(browser: webdriver.Chrome, pages: dict[str, str]) -> None:
    page = open_page(browser, f"{pages['large']}#separation", width=900)
    page.execute_script("document.querySelector('#separation .scroll').scrollBy(300, 0)")

    box = find(page, "#separation .scroll").rect
    name = find(page, "#separation-table tbody th").rect

    assert abs(name["x"] - box["x"]) <= 1.5


def test_section_is_opened_by_its_address_and_remembered(browser: webdriver.Chrome, pages: dict[str, str]) -> None:
    page = open_page(browser, f"{pages['large']}#separation")
    opened = list_open(page)
    press(page, "#training > summary")
    wait_for(lambda: page.current_url.endswith("#training"))
    page.refresh()
    reloaded = list_open(page)
    press(page, "#training > summary")
    wait_for(lambda: "#" not in page.current_url)

    assert opened == ["separation"]
    assert reloaded == ["training", "separation"]
    assert list_open(page) == ["separation"]


def test_link_of_a_check_opens_its_section_and_back_returns(page: webdriver.Chrome) -> None:
    link = find(page, '.checks .failed a[href="#separation"]')
    before = page.execute_script("arguments[0].scrollIntoView({block: 'center'}); return scrollY", link)
    link.click()
    wait_for(lambda: page.current_url.endswith("#separation"))
    place = page.execute_script("return document.getElementById('separation').getBoundingClientRect().top")
    opened = list_open(page)
    page.back()
    wait_for(lambda: "#" not in page.current_url)

    assert opened == ["separation"]
    assert 0 <= place < 600
    wait_for(lambda: abs(page.execute_script("return scrollY") - before) < 20)


def test_name_of_a_row_opens_its_panel(browser: webdriver.Chrome, pages: dict[str, str]) -> None:
    page = open_page(browser, f"{pages['large']}#separation")

    press(page, "#separation-table tbody th a")

    wait_for(lambda: page.current_url.endswith("#problem_one"))
    assert list_open(page) == ["separation", "problem_one"]
    assert find(page, "#figure-roc_one img").is_displayed()
    assert find(page, "#points-table").is_displayed()


def test_definition_of_a_column_is_reached_by_its_head(page: webdriver.Chrome) -> None:
    head = find(page, "#scoreboard-table thead a[href='#define-rec_mse']")
    meaning = head.get_attribute("title")

    head.send_keys(Keys.ENTER)

    wait_for(lambda: list_open(page) == ["methods"])
    assert find(page, "#define-rec_mse + dd").text == meaning


def test_figure_is_enlarged_and_focus_returns(page: webdriver.Chrome) -> None:
    button = find(page, ".key [data-enlarge]")
    small = find(page, ".key img").rect["width"]

    button.send_keys(Keys.ENTER)
    wait_for(lambda: find(page, "#enlarged").is_displayed())
    large = find(page, "#enlarged img").rect["width"]
    caption = find(page, "#enlarged p").text
    page.switch_to.active_element.send_keys(Keys.ESCAPE)

    wait_for(lambda: not find(page, "#enlarged").is_displayed())
    assert large > 1.3 * small
    assert caption == button.get_attribute("data-enlarge")
    assert page.switch_to.active_element == button


def test_group_is_switched_off_and_on_in_the_chart(training: webdriver.Chrome) -> None:
    switch = '.group-switch[data-group="1"]'
    before, others = (training.execute_script(COUNT_PIXELS, colour) for colour in (ORANGE, BLUE))

    press(training, switch)
    wait_for(lambda: training.execute_script(COUNT_PIXELS, ORANGE) == 0)
    pressed = find(training, switch).get_attribute("aria-pressed")
    press(training, switch)

    wait_for(lambda: training.execute_script(COUNT_PIXELS, ORANGE) == before)
    assert before > 100
    assert others > 100
    assert pressed == "false"


def test_single_run_is_switched_off(training: webdriver.Chrome) -> None:
    before = training.execute_script(COUNT_PIXELS, ORANGE)

    press(training, '.run-switch[data-group="1"]')

    wait_for(lambda: 0 < training.execute_script(COUNT_PIXELS, ORANGE) < before)
    assert find(training, '.group-switch[data-group="1"]').get_attribute("aria-pressed") == "true"


def test_all_runs_are_hidden_and_shown_again(training: webdriver.Chrome) -> None:
    before = training.execute_script(COUNT_PIXELS, BLUE)

    press(training, "#show-none")
    wait_for(lambda: training.execute_script(COUNT_PIXELS, BLUE) == 0)
    press(training, "#show-all")

    wait_for(lambda: training.execute_script(COUNT_PIXELS, BLUE) == before > 0)


@pytest.mark.parametrize("selector", ["#quantity option:nth-child(3)", "#against option[value=time]", "#logarithmic"])
def test_chart_is_drawn_anew_for_another_choice(training: webdriver.Chrome, selector: str) -> None:
    read = "return document.querySelector('#chart canvas').toDataURL()"
    before = training.execute_script(read)

    press(training, selector)

    wait_for(lambda: training.execute_script(read) != before)
    assert training.execute_script(COUNT_PIXELS, BLUE) > 100
    assert len(training.find_elements(By.CSS_SELECTOR, "#chart canvas")) == 1


def test_curves_over_decades_start_on_a_logarithmic_axis(training: webdriver.Chrome) -> None:
    is_on = find(training, "#logarithmic").is_selected()

    press(training, "#quantity option:last-child")

    assert is_on
    assert find(training, "#quantity").get_property("value") != "0"
    assert not find(training, "#logarithmic").is_selected()


def test_curve_under_the_pointer_is_named(training: webdriver.Chrome) -> None:
    webdriver.ActionChains(training).scroll_to_element(find(training, "#switches")).perform()
    area = find(training, "#chart .u-over")

    for height in range(-100, 100, 10):
        webdriver.ActionChains(training).move_to_element_with_offset(area, 0, height).perform()
        if "exp_x/" in find(training, "#reading").text:
            break

    assert " at " in find(training, "#reading").text


def test_csv_of_a_table_holds_what_is_shown_and_no_formula(
    browser: webdriver.Chrome, pages: dict[str, str], downloads: Path
) -> None:
    page = open_page(browser, f"{pages['hostile']}#runs")
    (downloads / "scoreboard.csv").unlink(missing_ok=True)

    press(page, '[data-csv="scoreboard-table"]')

    path = downloads / "scoreboard.csv"
    wait_for(path.exists)
    rows = list(csv.reader(path.read_text(encoding="utf-8").splitlines()))
    assert len(rows) == 10
    assert rows[0][:2] == ["group", "seeds"]
    assert "'=cmd()|' /C calc'!A0" in [row[0] for row in rows]
    assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "@"))]


def test_svg_of_a_figure_is_saved(page: webdriver.Chrome, downloads: Path) -> None:
    press(page, ".key [data-image]")

    path = downloads / "pareto_error_vs_compression.svg"
    wait_for(path.exists)
    assert path.read_text(encoding="utf-8").startswith("<svg")


def test_page_can_be_used_by_keyboard(page: webdriver.Chrome) -> None:
    find(page, "#runs > summary").send_keys(Keys.ENTER)
    wait_for(lambda: list_open(page) == ["runs"])
    place = find_column(page, "runs", "rec_mse")
    button = find(page, f"#runs-table thead th:nth-child({place + 1}) button")
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


def test_first_tab_leads_to_the_scoreboard(page: webdriver.Chrome) -> None:
    find(page, "body").send_keys(Keys.TAB)

    assert page.switch_to.active_element.text == "Skip to the scoreboard"


def test_everything_that_can_be_used_has_a_name(page: webdriver.Chrome) -> None:
    page.execute_cdp_cmd("Accessibility.enable", {})
    page.execute_script("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
    nodes = page.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    used = ("button", "link", "checkbox", "searchbox", "combobox", "region", "navigation", "img", "image", "dialog")

    found = [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes if not node["ignored"]]

    assert len([role for role, _ in found if role in used]) > 100
    assert [role for role, name in found if role in used and not name.strip()] == []


def test_switches_are_used_by_keyboard(training: webdriver.Chrome) -> None:
    find(training, '.group-switch[data-group="1"]').send_keys(Keys.SPACE)

    wait_for(lambda: training.execute_script(COUNT_PIXELS, ORANGE) == 0)


@pytest.mark.parametrize("name", ["large", "hostile"])
def test_page_requests_nothing_and_complains_of_nothing(
    browser: webdriver.Chrome, pages: dict[str, str], name: str
) -> None:
    page = open_page(browser, f"{pages[name]}#training")
    press(page, "#logarithmic")
    page.execute_script("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
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
    page = open_page(browser, f"{pages['large']}#training", scheme="dark")
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
    page = open_page(browser, f"{pages[name]}#training", width=width)
    page.execute_script("document.querySelectorAll('.section, .panel').forEach((part) => { part.open = true; })")

    assert page.execute_script("return document.documentElement.scrollWidth") <= width
    assert page.execute_script("return document.querySelector('#chart canvas').clientWidth") <= width


def test_table_of_contents_stays_in_view(browser: webdriver.Chrome, pages: dict[str, str]) -> None:
    for width in (1440, 390):
        page = open_page(browser, f"{pages['large']}#runs", width=width)
        page.execute_script("window.scrollTo(0, document.body.scrollHeight)")

        top = page.execute_script("return document.querySelector('.toc').getBoundingClientRect().top")

        assert abs(top) <= 1


def test_printed_page_shows_all_sections_and_rows_and_no_tools(
    browser: webdriver.Chrome, pages: dict[str, str]
) -> None:
    page = open_page(browser, pages["large"], width=720, media="print")
    page.execute_script("window.dispatchEvent(new Event('beforeprint'))")

    boxes = page.find_elements(By.CSS_SELECTOR, ".section[open] > .block .scroll")

    assert list_open(page) == ["training", "separation", "runs", "methods"]
    assert max(box.get_property("scrollHeight") - box.get_property("clientHeight") for box in boxes) <= 2
    assert not find(page, "#runs .tools").is_displayed()
    assert not find(page, "#curves").is_displayed()
    assert not find(page, ".toc").is_displayed()
    assert find(page, "#figure-rec_mse_curves img").is_displayed()
    page.execute_script("window.dispatchEvent(new Event('afterprint'))")
    assert list_open(page) == []


def test_page_is_printed_with_its_sections(page: webdriver.Chrome) -> None:
    pdf = base64.b64decode(page.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})["data"])

    assert pdf.count(b"/Type /Page\n") + pdf.count(b"/Type /Page ") >= 4


def test_page_is_read_without_a_script(browser: webdriver.Chrome, pages: dict[str, str]) -> None:
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        page = open_page(browser, pages["large"])

        assert find(page, "#runs-table").is_displayed()
        assert find(page, "#points-table").is_displayed()
        assert find(page, "#figure-rec_mse_curves img").is_displayed()
        assert find(page, "noscript p").is_displayed()
        assert not find(page, "#runs .tools").is_displayed()
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_hostile_names_do_nothing(browser: webdriver.Chrome, pages: dict[str, str]) -> None:
    page = open_page(browser, f"{pages['hostile']}#runs")
    press(page, "#runs-table thead th:first-child button")
    find(page, '[data-filter="runs-table"]').send_keys("<script>")
    press(page, "#training > summary")
    press(page, "#show-none")
    press(page, "#show-all")
    press(page, "#figure-rec_mse_curves [data-enlarge]")

    with pytest.raises(NoAlertPresentException):
        page.switch_to.alert.accept()
    assert read_column(page, "runs", 0) == [f"exp_x/000 {HOSTILE[0]}", f"exp_x/004 {HOSTILE[4]}"]
    assert find(page, ".headline p").get_attribute("textContent") == HOSTILE[0]
    assert page.execute_script("return document.scripts.length") == 2


def test_figures_are_seen(training: webdriver.Chrome) -> None:
    widths = training.execute_script(
        "return Array.from(document.querySelectorAll('figure img'), (image) => image.naturalWidth)"
    )

    assert len(widths) > 10
    assert min(widths) > 100
