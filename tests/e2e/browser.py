"""
A real Chromium without a window, driven by WebDriver (chromedriver) as a person would: it
sees texts, clicks buttons, fills in fields.

    with Browser() as browser:
        browser.open("https://localhost:8443/")
        browser.click("button.main")
        assert "Settings" in browser.text()
"""

import base64
import json
import os
import shutil
import subprocess
import urllib.error
import urllib.request

import net

_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # WebDriver, section 11.1


class Browser:
    def __init__(self):
        self._driver = None
        self._folder = net.short_folder("br")
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    def _start(self):
        for program in ("chromium", "chromedriver"):
            assert shutil.which(program), f"{program} is missing (apt install chromium-driver)"
        port = net.free_port()
        self._url = f"http://127.0.0.1:{port}"
        with open(f"{self._folder}/log", "wb") as log:
            self._driver = subprocess.Popen(
                net.die_with_parent(["chromedriver", f"--port={port}"]),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**os.environ, "HOME": self._folder})
        net.wait_until(self._is_up, 20 * net.slow_factor(), "chromedriver answers")
        options = {"binary": shutil.which("chromium"),
                   "args": ["--headless=new", "--no-sandbox", "--disable-gpu",
                            "--no-first-run", "--disable-dev-shm-usage", "--disable-quic",
                            "--disable-background-networking", "--disable-sync",
                            "--disable-component-update",
                            f"--user-data-dir={self._folder}/profile"]}
        wanted = {"acceptInsecureCerts": True,  # the tests' own authority
                  "goog:loggingPrefs": {"browser": "ALL"}, "goog:chromeOptions": options}
        made = self._ask("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self._url += f"/session/{made['sessionId']}"

    def _is_up(self):
        try:
            return self._ask("GET", "/status")["ready"]
        except OSError:
            return False

    def _ask(self, method, path, body=None):
        data = json.dumps(body or {}).encode() if method == "POST" else None
        request = urllib.request.Request(self._url + path, data, method=method,
                                         headers={"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=90 * net.slow_factor()) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(json.load(error)["value"]["message"]) from None

    def _find(self, selector):
        found = net.wait_until(
            lambda: self._ask("POST", "/elements", {"using": "css selector",
                                                    "value": selector}),
            20 * net.slow_factor(), lambda: f"{selector} in {self.url}: {self.text()}")
        return f"/element/{found[0][_ELEMENT]}"

    def open(self, url):
        self._ask("POST", "/url", {"url": url})

    @property
    def url(self):
        return self._ask("GET", "/url")

    @property
    def title(self):
        return self._ask("GET", "/title")

    def text(self):
        return self.script("return document.body ? document.body.innerText : ''")

    def wait_title(self, title):
        net.wait_until(lambda: self.title == title, 20 * net.slow_factor(),
                       lambda: f"the page {title!r}; it is {self.url}: {self.text()}")

    def click(self, selector):
        self._ask("POST", self._find(selector) + "/click")

    def fill(self, selector, text):
        field = self._find(selector)
        self._ask("POST", field + "/clear")
        self._ask("POST", field + "/value", {"text": text})

    def value(self, selector):
        return self._ask("GET", self._find(selector) + "/property/value")

    def is_shown(self, selector):
        return self._ask("GET", self._find(selector) + "/displayed")

    def script(self, text, *arguments):
        return self._ask("POST", "/execute/sync", {"script": text, "args": list(arguments)})

    def cookies(self):
        return self._ask("GET", "/cookie")

    def complaints(self, origin):
        """What its console has against pages of that origin, since the last time."""
        return [line["message"] for line in self._ask("POST", "/se/log", {"type": "browser"})
                if origin in line["message"]]

    def tell(self, command, **parameters):
        """A command of the DevTools protocol."""
        return self._ask("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def clipboard(self):
        return self._ask("POST", "/execute/async", {
            "script": "navigator.clipboard.readText().then(arguments[0])", "args": []})

    def picture(self, path, width=1100, dark=False):
        """The whole page, as on a screen of that width."""
        self.tell("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
        self.tell("Emulation.setDeviceMetricsOverride", width=width, height=640,
                  deviceScaleFactor=1, mobile=width < 600)
        height = self.script("return document.documentElement.scrollHeight")
        self.tell("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=1, mobile=width < 600)
        image = self.tell("Page.captureScreenshot", captureBeyondViewport=True)["data"]
        with open(path, "wb") as out:
            out.write(base64.b64decode(image))
        self.tell("Emulation.clearDeviceMetricsOverride")

    def close(self):
        if self._driver:
            if "/session/" in self._url:
                self._ask("DELETE", "")
            self._driver.terminate()
            self._driver.wait()
        net.remove_folder(self._folder)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
