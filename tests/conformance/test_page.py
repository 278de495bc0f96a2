"""The pages, in Chromium: on a phone and a desk, in light and in the dark, on paper, by keyboard, without script."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from kargo_lab.conformance import kills, page, report, suite, verdicts
from kargo_lab.conformance.cases import for_profile, load, select
from kargo_lab.conformance.proving import Proof, Trial

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

pytestmark = pytest.mark.timeout(120)  # the first starts the browser, on a machine that may be busy
CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PHONE, DESK, PAPER = (390, 844), (1280, 900), (680, 960)  # in CSS pixels; A4 between margins of 15 mm
CHOSEN = ("security/near-misses", "github/authenticity", "github/push", "gitlab/push")
Open = Callable[..., Any]


def judged(target: str) -> dict[str, Any]:
    cases = for_profile(select(load(), CHOSEN), "latest")
    return suite.judge(cases, suite.header(target, command=f"kargo-lab conformance run --target {target}"), jobs=1)


def lost(document: dict[str, Any]) -> dict[str, Any]:
    """The same run, had the target died on the way."""
    why = "the lab API gave no answer: " + "a-very-long-name." * 20
    cases = [
        {**case, "status": "error", "sentence": why, "exchanges": []} if number > 20 else case
        for number, case in enumerate(document["cases"])
    ]
    footer = {**document["footer"], "outcome": verdicts.outcome(cases), "why": verdicts.why(cases)}
    return {**document, "cases": cases, "footer": footer}


@pytest.fixture(scope="module")
def documents() -> dict[str, dict[str, Any]]:
    good = judged("reference-in-process")
    return {"good": good, "bad": judged("always-200"), "dead": lost(good)}


@pytest.fixture(scope="module")
def pages(documents: dict[str, dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Reports of a good, a bad and a dead target, and a kill matrix as wide as the real one."""
    folder = tmp_path_factory.mktemp("pages")
    cases = load()
    groups = {case.group: case.id for case in cases}
    trial = Trial(
        fault="a-fault-with-a-rather-long-name-that-has-to-wrap",
        killers=tuple(groups.values()),
        errors=(),
        judged=frozenset(groups.values()),
        seconds=1.0,
        processor_seconds=1.0,
    )
    texts = {name: page.render(document) for name, document in documents.items()}
    texts["kills"] = kills.page(Proof(trials=(trial,) * 60, cases=cases, complete=False))
    for name, text in texts.items():
        (folder / f"{name}.html").write_text(text, encoding="utf-8")
    return {name: folder / f"{name}.html" for name in texts}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if not CHROMIUM.exists():
        pytest.skip(f"there is no browser at {CHROMIUM}")
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture
def opened(browser: Any, pages: dict[str, Path]) -> Iterator[Open]:
    """Opens a page; at the end nothing may have been said on the console, and nobody asked."""
    contexts, said, asked = [], [], []

    def open_page(name: str, size: tuple[int, int] = PHONE, query: str = "", **how: Any) -> Any:
        contexts.append(browser.new_context(viewport={"width": size[0], "height": size[1]}, **how))
        found = contexts[-1].new_page()
        found.on("console", lambda message: said.append(message.text))
        found.on("pageerror", lambda error: said.append(str(error)))
        found.on("request", lambda request: asked.append(request.url))
        found.goto(pages[name].as_uri() + query)
        return found

    yield open_page
    for context in contexts:
        context.close()
    assert said == []
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []


def first(document: dict[str, Any], status: str) -> dict[str, Any]:
    return next(case for case in document["cases"] if case["status"] == status)


def place(case: dict[str, Any]) -> str:
    return f"details[id='{case['id']}']"


# Finding one's way --------------------------------------------------------------------------------


def test_the_filter_narrows_and_what_alone_is_left_unfolds(opened: Open, documents: dict[str, dict[str, Any]]) -> None:
    failure = first(documents["bad"], "fail")
    shown = opened("bad")
    cases = shown.locator("details:visible")
    numbers = [cases.count()]
    shown.select_option("#status", "fail")
    numbers.append(cases.count())
    shown.fill("#text", failure["id"])
    numbers.append(cases.count())
    detail = shown.locator(place(failure)).inner_text()
    assert len(documents["bad"]["cases"]) == numbers[0] > numbers[1] > numbers[2] == 1
    assert failure["says"] in detail
    assert "curl -sS" in detail


def test_the_number_of_failures_leads_to_them(opened: Open, documents: dict[str, dict[str, Any]]) -> None:
    shown = opened("bad")
    shown.click("a[data-show=fail]")
    failed = [case for case in documents["bad"]["cases"] if case["status"] == "fail"]
    assert shown.locator("details:visible").count() == len(failed)


def test_a_filter_outlives_a_reload(opened: Open) -> None:
    shown = opened("bad")
    shown.select_option("#status", "pass")
    shown.fill("#text", "gitlab")
    before = shown.inner_text("#shown")
    shown.reload()
    assert (shown.inner_text("#shown"), shown.input_value("#text")) == (before, "gitlab")


def test_a_group_is_reached_though_the_filter_hides_it(opened: Open) -> None:
    shown = opened("bad", query="?text=gitlab")
    shown.click("a[href='#group-github']")
    assert shown.locator("#group-github").is_visible()


def test_the_address_of_a_case_opens_it(opened: Open, documents: dict[str, dict[str, Any]]) -> None:
    case = documents["good"]["cases"][-1]
    shown = opened("good", query=f"#{case['id']}")
    assert case["says"] in shown.locator(place(case)).inner_text()
    assert shown.locator(place(case)).bounding_box()["y"] < PHONE[1]


def test_the_case_that_was_opened_is_in_the_address(opened: Open, documents: dict[str, dict[str, Any]]) -> None:
    case = documents["good"]["cases"][3]
    shown = opened("good")
    shown.click(f"{place(case)} summary")
    shown.reload()
    assert shown.locator(place(case)).get_attribute("open") is not None


def test_all_that_is_shown_unfolds_at_once(opened: Open) -> None:
    shown = opened("bad", query="?status=fail&text=github")
    shown.click("#unfold")
    assert shown.locator("details:visible:not([open])").count() == 0


def test_a_run_that_could_not_be_judged_says_so_above_everything(opened: Open) -> None:
    why = opened("dead").inner_text("#why")
    assert "could not be judged: the lab API gave no answer" in why
    assert "neither a pass nor a failure of the target" in why


# Eyes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
@pytest.mark.parametrize("name", ["good", "bad", "dead", "kills"])
def test_nothing_is_wider_than_the_screen(opened: Open, name: str, size: tuple[int, int]) -> None:
    shown = opened(name, size)
    shown.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    assert shown.evaluate("document.documentElement.scrollWidth") <= size[0]
    assert shown.evaluate(CUT_OFF) == []


# Texts whose box is wider than what holds it, where nothing scrolls.
CUT_OFF = """[...document.querySelectorAll('pre, code, dd, td, th, p, h1, summary span')].filter(
  one => one.offsetParent && one.scrollWidth > one.clientWidth + 1 && getComputedStyle(one).display !== 'inline'
).map(one => one.outerHTML.slice(0, 80))"""

CONTRAST = """() => {
  const numbers = text => text.match(/[\\d.]+/g).map(Number);
  const linear = part => (part /= 255) <= .04045 ? part / 12.92 : ((part + .055) / 1.055) ** 2.4;
  const light = text => {
    const [red, green, blue] = numbers(text).map(linear);
    return .2126 * red + .7152 * green + .0722 * blue;
  };
  const behind = one => {
    for (; one; one = one.parentElement) {
      const colour = getComputedStyle(one).backgroundColor;
      if ((numbers(colour)[3] ?? 1) > 0) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const found = {};
  for (const one of document.querySelectorAll("body *")) {
    const hasText = [...one.childNodes].some(node => node.nodeType === 3 && node.data.trim());
    if (one.matches("script, option") || !hasText) continue;
    const [a, b] = [light(getComputedStyle(one).color), light(behind(one))].sort((x, y) => y - x);
    const ratio = (a + .05) / (b + .05);
    if (ratio < 4.5) found[one.tagName + "." + one.className] = ratio.toFixed(2);
  }
  return found;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["good", "bad", "dead", "kills"])
def test_every_text_stands_out_from_its_ground(opened: Open, name: str, scheme: str) -> None:
    assert opened(name, DESK, color_scheme=scheme).evaluate(CONTRAST) == {}


# Paper --------------------------------------------------------------------------------------------


def test_on_paper_failures_are_open_and_the_filter_is_gone(opened: Open, documents: dict[str, dict[str, Any]]) -> None:
    failure = first(documents["bad"], "fail")
    shown = opened("bad", PAPER, java_script_enabled=False)
    shown.emulate_media(media="print")
    assert shown.locator(f"{place(failure)} .take").last.bounding_box()["height"] > 10
    assert not shown.locator("#text").is_visible()


def test_printing_opens_the_failures_and_folds_them_again(opened: Open) -> None:
    shown = opened("bad", PAPER)
    opened_at_print = "document.querySelectorAll('details[data-bad][open]').length"
    shown.evaluate("window.addEventListener('beforeprint', () => { window.seen = " + opened_at_print + " })")
    shown.pdf(format="A4")
    assert shown.evaluate("window.seen === document.querySelectorAll('details[data-bad]').length")
    assert shown.evaluate(opened_at_print) == 0


@pytest.mark.parametrize("name", ["bad", "dead", "kills"])
def test_nothing_is_cut_off_on_paper_and_no_failure_is_torn(opened: Open, name: str) -> None:
    width = 960 if name == "kills" else PAPER[0]  # which prints in landscape
    shown = opened(name, (width, 900))
    shown.emulate_media(media="print")
    assert shown.evaluate("document.documentElement.scrollWidth") <= width
    assert shown.evaluate(
        "[...document.querySelectorAll('details[data-bad], tr')]"
        ".every(one => getComputedStyle(one).breakInside === 'avoid')"
    )


# Keyboard, voice, no script -----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["good", "bad", "kills"])
def test_headings_skip_no_level_and_controls_have_names(opened: Open, name: str) -> None:
    shown = opened(name)
    levels = shown.evaluate("[...document.querySelectorAll('h1,h2,h3,h4')].map(one => +one.tagName[1])")
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    nameless = "one => !(one.ariaLabel || one.textContent.trim())"
    assert (
        shown.evaluate(f"[...document.querySelectorAll('input, select, button, a, [tabindex]')].filter({nameless})")
        == []
    )
    assert shown.evaluate("[...document.querySelectorAll('th')].every(one => one.scope)")


def test_the_keyboard_shows_where_it_is_and_opens_a_case(opened: Open) -> None:
    shown = opened("good", query="#cases")
    shown.focus("summary")
    shown.keyboard.press("Shift+Tab")
    shown.keyboard.press("Tab")
    assert shown.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    shown.keyboard.press("Enter")
    assert shown.evaluate("document.activeElement.parentElement.open")


def test_without_script_every_case_is_there_and_no_dead_control(opened: Open, documents: dict[str, Any]) -> None:
    shown = opened("bad", java_script_enabled=False)
    assert shown.locator("details:visible").count() == len(documents["bad"]["cases"])
    assert shown.locator("form:visible").count() == 0


@pytest.mark.parametrize("name", ["good", "bad"])
def test_a_page_is_not_much_larger_than_what_it_is_made_of(
    documents: dict[str, dict[str, Any]], tmp_path: Path, name: str
) -> None:
    report.write(tmp_path, documents[name])
    style = sum((page.TEMPLATES / part).stat().st_size for part in ("report.html", "page.css"))
    assert (tmp_path / "report.html").stat().st_size <= (tmp_path / "report.json").stat().st_size + style


def test_failures_that_are_few_are_unfolded(documents: dict[str, dict[str, Any]]) -> None:
    cases = [first(documents["bad"], "fail"), first(documents["bad"], "pass")]
    assert page.render({**documents["bad"], "cases": cases}).count("data-bad open>") == 1
