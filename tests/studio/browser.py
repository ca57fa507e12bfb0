"""A studio of a script's own, and a headless Chromium that shows it."""
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
import urllib.request

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By


class Studio:
    """`weft studio` on a port of its own, with no data but what it is given."""

    def __init__(self, weft, *arguments, has_data=False):
        environment = dict(os.environ, OMP_WAIT_POLICY="passive")
        self.folder = tempfile.mkdtemp(prefix="weft-studio-")
        if not has_data:
            environment.pop("WEFT_DATA_DIR", None)
            environment["XDG_CACHE_HOME"] = self.folder
        self.process = subprocess.Popen([weft, "studio", "--port", "0", *arguments], env=environment, stdout=subprocess.PIPE, text=True)
        self.address = re.search(r"http://\S+/", self.process.stdout.readline())[0]

    def state(self):
        """All that the studio shows."""
        with urllib.request.urlopen(self.address + "events", timeout=30) as events:
            return json.loads(events.readline()[len("data: "):])["whole"]

    def resident(self):
        """Kilobytes of memory."""
        with open(f"/proc/{self.process.pid}/status") as status:
            return int(re.search(r"VmRSS:\s*(\d+)", status.read())[1])

    def close(self):
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()
        shutil.rmtree(self.folder)


class Browser:
    def __init__(self, width=1280, height=900):
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium")
        for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(service=Service(shutil.which("chromedriver")), options=options)
        self.resize(width, height)

    def resize(self, width, height):
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                                    {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600})

    def open(self, address):
        self.driver.get(address)
        self.wait(lambda: self.js("return document.readyState === 'complete' && document.getElementById('device').options.length > 0"), "the page")

    def js(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def find(self, name):
        return self.driver.find_element(By.ID, name)

    def text(self, name):
        return self.js("return document.getElementById(arguments[0]).textContent", name)

    def click(self, name):
        self.find(name).click()

    def slide(self, name, value):
        self.js("const e = document.getElementById(arguments[0]); e.value = arguments[1]; e.dispatchEvent(new Event('input', {bubbles: true}));", name, value)

    def write(self, name, text):
        place = self.find(name)
        place.clear()
        place.send_keys(text)

    def stroke(self, *points):
        """Draws along points, counted from the middle of the canvas."""
        canvas = self.find("digits-canvas")
        self.js("arguments[0].scrollIntoView({block: 'center'})", canvas)
        hand = ActionChains(self.driver, duration=20).move_to_element_with_offset(canvas, *points[0]).click_and_hold()
        for point in points[1:]:
            hand.move_to_element_with_offset(canvas, *point)
        hand.release().perform()

    @staticmethod
    def wait(is_so, what, seconds=60):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            value = is_so()
            if value:
                return value
            time.sleep(0.05)
        raise AssertionError(f"waited {seconds} s in vain for {what}")

    def complaints(self):
        """What the browser has written into its console since the last time."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]

    def close(self):
        self.driver.quit()
