"""The page of the service in a browser: by keyboard, at two widths, in light and dark, with nothing from elsewhere."""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

pytest.importorskip("fastapi")

from exporters.bundle import export_run
from tests.support.finished_run import RunSpec, make_finished_run

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is there")

NAMES = {"T0003": "asthma", "T0004": "asthma, aspirin-induced by a very long name that needs two lines on a telephone"}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("page")
    export_run(make_finished_run(folder / "runs", RunSpec(seeds=(45,), names=NAMES)), out=folder / "bundle")
    command = [sys.executable, "-m", "exporters.serve", str(folder / "bundle"), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    line = process.stdout.readline()
    yield line.partition(" at ")[2].split()[0]
    process.terminate()
    assert process.wait(timeout=60) == 0


class Page:
    """A tab, by Chromium's DevTools protocol."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket, self._number = socket, 0
        self.complaints: list[Any] = []
        self.requested: set[str] = set()

    async def tell(self, method: str, **parameters: Any) -> Any:
        """The answer to a command."""
        self._number += 1
        await self._socket.send_json({"id": self._number, "method": method, "params": parameters})
        while True:
            told = json.loads((await self._socket.receive()).data)
            if told.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded"):
                self.complaints.append(told["params"])
            if told.get("method") == "Network.requestWillBeSent":
                self.requested.add(told["params"]["request"]["url"])
            if told.get("id") == self._number:
                assert "error" not in told, told
                return told["result"]

    async def value(self, expression: str) -> Any:
        """What an expression is on the page."""
        told = await self.tell("Runtime.evaluate", expression=expression, returnByValue=True)
        return told["result"].get("value")

    async def until(self, expression: str, seconds: float = 40.0) -> None:
        """Wait until it is true."""
        for _ in range(round(seconds / 0.1)):
            if await self.value(expression):
                return
            await asyncio.sleep(0.1)
        raise AssertionError(f"{expression} never came; {self.complaints}")

    async def press(self, key: str, code: int) -> None:
        """Press and let go of a key."""
        for kind in ("keyDown", "keyUp"):
            await self.tell("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code)


@asynccontextmanager
async def opened(url: str, folder: Path, width: int, scheme: str) -> AsyncIterator[Page]:
    """The page in a browser of its own."""
    command = [str(CHROMIUM), "--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0"]
    process = subprocess.Popen(
        [*command, f"--user-data-dir={folder}", "about:blank"],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stderr is not None
        line = ""
        while "DevTools listening" not in line:
            line = await asyncio.to_thread(process.stderr.readline)
            assert line, "Chromium ended"
        port = line.rpartition("127.0.0.1:")[2].partition("/")[0]
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{port}/json") as reply:
                tab = next(one for one in await reply.json() if one["type"] == "page")
            async with session.ws_connect(tab["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                page = Page(socket)
                for domain in ("Page", "Runtime", "Log", "Network"):
                    await page.tell(f"{domain}.enable")
                size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
                await page.tell("Emulation.setDeviceMetricsOverride", **size)
                features = [{"name": "prefers-color-scheme", "value": scheme}]
                await page.tell("Emulation.setEmulatedMedia", features=features)
                await page.tell("Page.navigate", url=url)
                yield page
    finally:
        process.terminate()
        process.wait(timeout=30)


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
async def test_a_disease_is_found_by_keyboard_and_its_drugs_are_shown(
    url: str, tmp_path: Path, width: int, scheme: str
) -> None:
    async with opened(url, tmp_path / "browser", width, scheme) as page:
        await page.until("document.querySelectorAll('#examples button').length > 0")
        await page.until("document.activeElement.id == 'name'")
        await page.tell("Input.insertText", text="asth")
        await page.until("document.querySelectorAll('#found [role=option]').length >= 2")
        assert await page.value("document.querySelector('#found [aria-selected=true] .name').textContent") == "asthma"
        await page.press("ArrowDown", 40)
        chosen = "document.querySelector('#found [aria-selected=true] .name').textContent"
        assert await page.value(chosen) == NAMES["T0004"]
        assert await page.value("document.getElementById('name').getAttribute('aria-activedescendant')") == "found-1"
        await page.press("ArrowUp", 38)
        await page.press("Enter", 13)
        await page.until("document.querySelectorAll('#rows tr').length == 20")
        assert await page.value("document.getElementById('whose').textContent") == "asthma"
        assert await page.value("location.hash") == "#tail=T0003&relation=indication"
        cells = "[...document.querySelector('#rows tr').cells].map((one) => one.textContent)"
        rank, drug, score, popularity, neighbours, why = await page.value(cells)
        assert rank == "1"
        assert drug.startswith("drug H0")
        assert score.endswith(" %")
        assert popularity.isdigit() or popularity == "–"
        assert neighbours.isdigit() or neighbours == "–"
        assert why
        assert await page.value("document.body.innerText.includes('Similar diseases with this drug')")
        # Nothing stands out of the window.
        outside = "[...document.querySelectorAll('#rows td, select, button')]"
        outside += ".filter((one) => one.getBoundingClientRect().right > innerWidth).length"
        assert await page.value(outside) == 0
        assert await page.value("document.documentElement.scrollWidth <= innerWidth")
        dark = "getComputedStyle(document.body).backgroundColor"
        assert await page.value(dark) == ("rgb(16, 22, 21)" if scheme == "dark" else "rgb(246, 247, 245)")
        await page.value("document.getElementById('hide-known').click()")
        await page.until("!document.querySelector('#answer').classList.contains('old')")
        await page.until("[...document.querySelectorAll('.known:not(.fresh)')].length == 0")
        shot = await page.tell("Page.captureScreenshot", format="png")
        assert base64.b64decode(shot["data"]).startswith(b"\x89PNG")
        assert page.complaints == []
        assert {one for one in page.requested if not one.startswith(url)} == set()


@pytest.mark.timeout(300)
async def test_a_name_that_is_markup_is_shown_as_text_and_an_unknown_one_is_told(url: str, tmp_path: Path) -> None:
    async with opened(url, tmp_path / "browser", 1280, "light") as page:
        await page.until("document.activeElement.id == 'name'")
        await page.tell("Input.insertText", text="<img src=x onerror=document.title='owned'>")
        await page.press("Enter", 13)
        await page.until("!document.getElementById('problem').hidden")
        told = await page.value("document.getElementById('problem').textContent")
        assert told.startswith("there is no disease")
        assert "<img src=x" in told
        assert await page.value("document.querySelectorAll('main img').length") == 0
        assert "owned" not in await page.value("document.title")
