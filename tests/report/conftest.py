"""Two runs of the toy set and the page on them, made once, and a browser that reads pages."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from skeattn.report import MapOptions, write_report
from skeattn.report.runs import Run, find_runs
from tests.report.runs import write_run, write_set

CHROMIUM = Path(os.environ.get('SKEATTN_CHROMIUM') or '/usr/bin/chromium')
FLAGS = (
    *('--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run'),
    *('--disable-background-networking', '--disable-component-update', '--disable-sync'),
)


@pytest.fixture(scope='session')
def work_dirs(tmp_path_factory) -> list[Path]:
    """SkeletonCLR, SkeAttnCLR."""
    folder = tmp_path_factory.mktemp('report')
    data = write_set(folder / 'set')
    return [write_run(folder / 'runs' / model, model, data) for model in ('skeletonclr', 'skeattnclr')]


@pytest.fixture(scope='session')
def runs(work_dirs) -> list[Run]:
    return find_runs(work_dirs)


@pytest.fixture(scope='session')
def page(work_dirs, tmp_path_factory) -> Path:
    """The page on both runs."""
    path = tmp_path_factory.mktemp('page') / 'report.html'
    write_report(work_dirs, path, MapOptions(method='pca', neighbours=4))
    return path


@pytest.fixture(scope='session')
def browser() -> Iterator[Any]:
    """Debian's Chromium. Tests are skipped without it or playwright, or fail where ``SKEATTN_REQUIRE_BROWSER=1``."""
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError:
        without('playwright is not installed: pip install "skeattn[dev]"')
    if not CHROMIUM.is_file():
        without(f'{CHROMIUM} is missing: apt-get install chromium, or set SKEATTN_CHROMIUM')
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=str(CHROMIUM), args=list(FLAGS))
        yield chromium
        chromium.close()


def without(reason: str) -> None:
    if os.environ.get('SKEATTN_REQUIRE_BROWSER') == '1':
        pytest.fail(reason)
    pytest.skip(reason)
