"""`make lab` in a real browser: its first page, what that leads to, and a microphone's sound in the kernel."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[1]
START = ROOT / "notebooks" / "00_start.md"


def test_the_start_page_leads_to_files_that_are_there_and_to_every_notebook():
    text = START.read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)]+)\)", text)
    assert [target for target in targets if not (START.parent / target).is_file()] == []
    assert {path.name for path in START.parent.glob("*.ipynb")} <= set(targets)


def test_jupyterlab_opens_the_start_page_rendered_and_asks_no_other_host():
    folder = ROOT / "workflow" / "lab"
    address = json.loads((folder / "jupyter_lab_config.json").read_text())["LabApp"]["default_url"]
    assert address == f"/lab/tree/{START.relative_to(ROOT).as_posix()}"
    settings = json.loads((folder / "labconfig" / "default_setting_overrides.json").read_text())
    assert settings["@jupyterlab/docmanager-extension:plugin"]["defaultViewers"] == {"markdown": "Markdown Preview"}
    news = settings["@jupyterlab/apputils-extension:notification"]
    assert news == {"fetchNews": "false", "checkForUpdates": False}


PROBE = f"""
import sys
from pathlib import Path
sys.path.insert(0, {str(ROOT)!r})
from s2f.report.your_voice import Recorder
recorder = Recorder()
recorder.observe(lambda change: Path("heard").write_bytes(change["new"]), "sound")
recorder
"""


@pytest.fixture
def lab(tmp_path):
    """`make lab` of a project with the start page and a notebook that records; gives the project and its address."""
    project = tmp_path / "project"
    for name in ("Makefile", "notebooks/00_start.md", "workflow/lab"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        copy(ROOT / name, project / name)
    (project / ".venv").symlink_to(sys.prefix)
    cells = [nbformat.v4.new_code_cell(PROBE)]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}  # or it asks
    probe = nbformat.v4.new_notebook(cells=cells, metadata=kernel)
    nbformat.write(probe, project / "notebooks" / "probe.ipynb")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = f"OPTIONS=--no-browser --allow-root --port {port} --IdentityProvider.token=t"
    command = ["make", "-o", ".venv/.ready", "lab", options]
    home = {**os.environ, "HOME": str(tmp_path / "home")}
    with (
        open(tmp_path / "log", "w") as log,
        subprocess.Popen(command, cwd=project, env=home, stdout=log, stderr=log, start_new_session=True) as process,
    ):
        try:
            address = f"http://localhost:{port}"
            for _ in range(120):
                assert process.poll() is None, (tmp_path / "log").read_text()
                with contextlib.suppress(OSError), urllib.request.urlopen(f"{address}/api/status?token=t"):
                    break
                time.sleep(0.5)
            yield project, address
        finally:
            os.killpg(process.pid, signal.SIGTERM)


@pytest.fixture
def browser():
    webdriver = pytest.importorskip("selenium.webdriver")
    names = ("chromium", "chromium-browser", "google-chrome")
    program, driver = next(filter(None, map(shutil.which, names)), None), shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.skip("needs chromium and chromedriver (Debian: apt-get install chromium chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"):
        options.add_argument(argument)
    for argument in ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "SEVERE", "performance": "ALL"})
    session = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    session.set_window_size(1400, 1000)
    try:
        yield session
    finally:
        session.quit()


def wait(what, *, seconds=60):
    """What a function gives as soon as it gives something."""
    for _ in range(seconds * 4):
        if found := what():
            return found
        time.sleep(0.25)
    raise AssertionError(f"nothing after {seconds} s")


@pytest.mark.slow
def test_lab_opens_the_start_page_and_a_recording_reaches_the_kernel(lab, browser):
    from s2f.features import sound_files
    from s2f.report import your_voice

    exceptions = pytest.importorskip("selenium.common.exceptions")
    keys = pytest.importorskip("selenium.webdriver.common.keys")
    project, address = lab

    def press(selector, text):
        """Press what a selector finds that reads so, once it is there and nothing lies over it."""

        def pressed():
            with contextlib.suppress(exceptions.WebDriverException):
                for shown in browser.find_elements("css selector", selector):
                    if shown.text == text:
                        shown.click()
                        return True
            return False

        wait(pressed)

    browser.get(f"{address}/?token=t")
    page = wait(lambda: browser.find_elements("css selector", ".jp-MarkdownViewer h1"))[0]  # rendered, no source
    assert page.text == START.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
    assert browser.current_url == f"{address}/lab/tree/notebooks/00_start.md"
    browser.get(f"{address}/lab/tree/notebooks/probe.ipynb")
    wait(lambda: browser.find_elements("css selector", ".jp-Notebook .jp-CodeCell"))
    ready = ".jp-Notebook-ExecutionIndicator[data-status='idle']"
    wait(
        lambda: browser.find_elements("css selector", ready), seconds=120
    )  # before that JupyterLab may forget a command
    for _ in range(4):
        with contextlib.suppress(AssertionError):  # a menu that shut again, or one that lies over another: once more
            press(".lm-MenuBar-itemLabel", "Run")
            press(".lm-Menu-itemLabel", "Run All Cells")
            wait(lambda: browser.find_elements("css selector", ".jupyter-button"), seconds=45)
            break
        browser.switch_to.active_element.send_keys(keys.Keys.ESCAPE)
    press(".jupyter-button", "Record")
    time.sleep(2)  # of the sound that the browser makes up
    press(".jupyter-button", "Stop")
    heard = project / "notebooks" / "heard"
    wait(lambda: heard.is_file() and heard.stat().st_size)
    wave = your_voice._read_bytes(heard.read_bytes(), [], name="heard")
    assert 1 < len(wave) / sound_files.SAMPLE_RATE < 10
    asked = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [e["params"]["request"]["url"] for e in asked if e["method"] == "Network.requestWillBeSent"]
    assert sent and [url for url in sent if url.startswith("http") and not url.startswith(address)] == []
