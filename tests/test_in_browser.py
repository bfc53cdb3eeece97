"""TensorBoard, the report and the site in a real browser: what a person opens can be seen."""

import importlib.util
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import time

import pytest

from keras_ff import report, training
from keras_ff.callbacks.tensorboard import layout
from keras_ff.recipes import TrainingConfig
from tests.helpers import ROOT

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
BROWSER = next(filter(None, map(shutil.which, BROWSERS)), None)
DRIVER = shutil.which("chromedriver")
if not (BROWSER and DRIVER):
    pytest.skip("Chromium and its driver are not installed", allow_module_level=True)
pytest.importorskip("selenium", reason="selenium, which drives the browser, is not installed")

pytestmark = pytest.mark.slow

PATIENCE = 60
# TensorBoard's parts lie in shadow trees, which the browser does not search by itself.
FIND = """
function every(root) {
  const found = [];
  for (const tree of [root, root.shadowRoot].filter(Boolean)) {
    for (const one of tree.querySelectorAll('*')) {
      found.push(one);
      if (one.shadowRoot) found.push(...every(one.shadowRoot));
    }
  }
  return found;
}
function named(root, name) {
  return every(root).filter(one => one.tagName.toLowerCase() === name);
}
function text(root) {  // without that of its style sheets
  return [root, ...every(root)].flatMap(one => [one, one.shadowRoot].filter(Boolean))
    .filter(one => one.tagName !== 'STYLE').flatMap(one => [...one.childNodes])
    .filter(node => node.nodeType === Node.TEXT_NODE).map(node => node.textContent).join(' ');
}
"""
# Each chart's words, and the number of lines that are drawn in it.
CHARTS = (
    FIND
    + """
return named(document, 'tf-custom-scalar-multi-line-chart-card').map(card => {
  const lines = named(card, 'path').filter(
    path => path.classList.contains('line') && /L/.test(path.getAttribute('d') || ''));
  const heading = named(card, 'tf-card-heading').map(text).join(' ');
  return [heading.replace(/\\s+/g, ' ').trim(), lines.length];
});
"""
)
PAGE_TEXT = FIND + "return text(document.body);"
AXE = "axe.run().then(arguments[arguments.length - 1]);"
SITE = ("index", "concepts", "reference/losses", "notebooks/06_zoo")
PICTURES = "return [...document.images].map(image => [image.alt, image.naturalWidth]);"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a short run with its logs and its report."""
    folder = tmp_path_factory.mktemp("runs") / "short"
    config = TrainingConfig.for_dataset(
        "digits", units=(24, 16), epochs=3, batch_size=256, learning_rate=0.01
    )
    training.train(config, folder, verbose=0, tensorboard=True)
    report.write(folder)
    return folder


@pytest.fixture(scope="module")
def browser():
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    options.add_argument("--headless=new")
    options.add_argument("--window-size=1300,2400")
    if hasattr(os, "geteuid") and os.geteuid() == 0:  # who has no sandbox
        options.add_argument("--no-sandbox")
    service = webdriver.ChromeService(DRIVER)
    driver = webdriver.Chrome(options=options, service=service)
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def tensorboard(run):
    """The address of a TensorBoard that shows the run."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["--logdir", str(run / "tensorboard"), "--host", "127.0.0.1", "--port", str(port)]
    process = subprocess.Popen(
        [sys.executable, "-m", "tensorboard.main", *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until(lambda: answers(port), "TensorBoard did not start")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def answers(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def until(found, words):
    """What `found` answers as soon as it is true; fails where it stays false."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        answer = found()
        if answer:
            return answer
        time.sleep(0.3)
    pytest.fail(words)


def errors(browser):
    """What the page complained of on the console."""
    return [one["message"] for one in browser.get_log("browser") if one["level"] == "SEVERE"]


def opened(browser, address):
    browser.get("about:blank")
    browser.get_log("browser")
    browser.get(address)


def test_every_layer_has_its_charts_in_tensorboard(browser, tensorboard):
    opened(browser, f"{tensorboard}/#custom_scalars")
    number = 2 + len(layout.OF_ALL_LAYERS) + 2 * len(layout.CHARTS)

    def drawn():
        charts = browser.execute_script(CHARTS)
        return len(charts) == number and all(lines for _, lines in charts) and charts

    charts = until(drawn, f"Some charts stayed empty: {browser.execute_script(CHARTS)}")
    titles = [title for title, _ in charts]
    assert titles[2:5] == list(layout.OF_ALL_LAYERS)
    assert titles[5:] == [*layout.CHARTS, *layout.CHARTS]
    lines = dict(charts[:5])
    # Two layers in training and validation, and each line is drawn twice: as it is, and smoothed.
    assert lines["goodness separation of every layer"] == 2 * 2 * 2
    assert lines["accuracy of every layer alone"] == 2 * 2
    words = browser.execute_script(PAGE_TEXT)
    for category in ("Forward-Forward: all layers", "Layer 1", "Layer 2"):
        assert category in words
    assert not errors(browser)


def test_tensorboard_opens_with_all_layers(browser, tensorboard):
    """What a person sees who reads nothing: the first groups of the first page."""
    opened(browser, f"{tensorboard}/#timeseries")

    def seen():
        words = browser.execute_script(PAGE_TEXT)
        found = all(group in words for group in ("layer_1", "layer_2", "goodness densities"))
        return found and words

    words = until(seen, "The layers' groups are not there")
    assert words.index("goodness densities") < words.index("layer_1")
    widths = until(
        lambda: browser.execute_script(
            FIND + "return named(document, 'image-card').flatMap(card => named(card, 'img'))"
            ".map(image => image.naturalWidth);"
        ),
        "There are no pictures",
    )
    until(
        lambda: all(
            browser.execute_script(
                FIND + "return named(document, 'image-card').flatMap(card => named(card, 'img'))"
                ".map(image => image.naturalWidth > 100);"
            )
        ),
        f"Pictures stayed empty: {widths}",
    )


def hard_to_use(browser):
    """What axe-core finds on a page that keeps people from using it."""
    spec = importlib.util.find_spec("axe_core_python")
    if spec is None:
        pytest.skip("axe-core-python, which brings axe-core, is not installed")
    axe = pathlib.Path(spec.origin).with_name("axe.min.js")
    browser.execute_script(axe.read_text(encoding="utf-8"))
    found = browser.execute_async_script(AXE)
    assert len(found["passes"]) > 15
    return [
        (one["id"], one["nodes"][0]["html"])
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
    ]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the built site."""
    pytest.importorskip("mkdocs", reason="mkdocs, which builds the site, is not installed")
    folder = tmp_path_factory.mktemp("site")
    words = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", folder]
    subprocess.run(words, cwd=ROOT, check=True)
    return folder


@pytest.mark.every_case
@pytest.mark.parametrize("name", SITE)
def test_pages_of_the_site_open_from_a_folder(browser, site, name):
    opened(browser, (site / f"{name}.html").as_uri())
    assert not errors(browser)
    assert all(alt and width for alt, width in browser.execute_script(PICTURES))
    assert not hard_to_use(browser)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_report_opens_without_a_complaint(browser, run, scheme):
    feature = {"name": "prefers-color-scheme", "value": scheme}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    opened(browser, (run / "report.html").resolve().as_uri())
    pictures = browser.execute_script(PICTURES)
    assert len(pictures) == 8
    assert all(alt and width > 100 for alt, width in pictures)
    assert not browser.get_log("browser")
    assert not hard_to_use(browser)
    colour = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert colour == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 23, 28)"}[scheme]


def test_the_report_fits_a_phone(browser, run):
    size = {"width": 390, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        opened(browser, (run / "report.html").resolve().as_uri())
        width = browser.execute_script("return document.documentElement.scrollWidth")
        assert width <= 390
        texts = "return getComputedStyle(document.body).fontSize"
        assert browser.execute_script(texts) == "16px"
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
