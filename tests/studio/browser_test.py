#!/usr/bin/env python3
"""The studio as people use it, in a headless Chromium: browser_test.py WEFT. Exits with 77 where there is no browser."""
import os
import re
import shutil
import sys
import tempfile
import time
import unittest

try:
    import selenium  # noqa: F401
except ImportError:
    print("skipped: this Python has no selenium (Debian's python3-selenium)")
    sys.exit(77)
for program in ("chromium", "chromedriver"):
    if not shutil.which(program):
        print(f"skipped: there is no {program} (Debian's chromium and chromium-driver)")
        sys.exit(77)

from selenium.webdriver.common.keys import Keys

from browser import Browser, Studio

weft = sys.argv.pop(1)


class StudioPage(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.corpus = tempfile.NamedTemporaryFile("w", suffix=".txt")
        cls.corpus.write("Shall I compare thee to a summer's day?\n" * 300)
        cls.corpus.flush()
        cls.studio = Studio(weft, "--corpus", cls.corpus.name, *sys.argv[1:])
        cls.browser = Browser()

    @classmethod
    def tearDownClass(cls):
        cls.browser.close()
        cls.studio.close()
        cls.corpus.close()

    def open(self, tab):
        self.browser.open(f"{self.studio.address}#/{tab}")
        # Another address of the same page loads nothing.
        self.browser.driver.refresh()
        self.browser.open(f"{self.studio.address}#/{tab}")
        return self.browser

    def tearDown(self):
        self.assertEqual(self.browser.complaints(), [])

    def chart_step(self, name):
        """The last step of a chart, as its description says."""
        found = re.search(r"at step (\d+)", self.browser.find(name).get_attribute("aria-label"))
        return int(found[1]) if found else 0

    def test_nothing_is_loaded_from_elsewhere(self):
        b = self.open("text")
        loaded = b.js("return performance.getEntriesByType('resource').map(e => e.name)")
        self.assertGreater(len(loaded), 8)
        self.assertEqual([name for name in loaded if not name.startswith(self.studio.address)], [])

    def test_text_streams_at_a_temperature_that_can_be_changed(self):
        b = self.open("text")
        b.write("text-start", "Juliet")
        b.slide("text-length", 2000)
        b.slide("text-temperature", 0.3)
        b.click("text-generate")
        b.wait(lambda: b.text("text-output").startswith("Juliet") and len(b.text("text-output")) > 20, "some text")
        first = b.text("text-output")
        b.wait(lambda: len(b.text("text-output")) > len(first) + 60, "more text")
        self.assertTrue(b.text("text-output").startswith(first))
        b.slide("text-temperature", 3)
        b.wait(lambda: self.studio.state()["text"]["temperature"] == 3, "the temperature")
        b.click("text-stop")
        b.wait(lambda: not b.find("text-stop").is_enabled(), "the end")
        said = b.text("text-output")
        self.assertLess(len(said), 2000)
        b.driver.refresh()
        b.wait(lambda: b.text("text-output") == said, "the text after a reload")
        self.assertEqual(b.find("text-start").get_attribute("value"), "Juliet")

    def test_text_that_the_model_cannot_know_is_refused_clearly(self):
        b = self.open("text")
        b.write("text-start", "\u03a9")
        b.click("text-generate")
        b.wait(lambda: "does not occur" in b.js("return document.querySelector('#text > .error').textContent"), "the error")
        self.assertTrue(any("422" in c for c in b.complaints()))

    def test_text_trains_and_generates_with_what_it_has_learnt(self):
        b = self.open("text")
        b.write("text-steps", "100000")
        b.click("text-play")
        b.wait(lambda: self.chart_step("text-losses") > 5, "losses")
        b.wait(lambda: "trained here" in b.text("text-weights"), "new weights")
        b.js("document.getElementById('text-weights').value = 'trained here'")
        b.write("text-start", "Shall")
        b.slide("text-length", 50)
        b.click("text-generate")
        b.wait(lambda: len(b.text("text-output")) == 55, "text")
        b.click("text-play")
        b.wait(lambda: b.text("text-play") == "Go on", "the pause")
        self.assertEqual(b.find("text-corpus").get_attribute("href"), self.studio.address + "api/text/corpus")
        b.click("text-reset")
        b.wait(lambda: self.chart_step("text-losses") == 0, "the reset")

    def test_digits_train_while_a_drawing_is_judged(self):
        b = self.open("digits")
        values = lambda: b.js("return [...document.querySelectorAll('#digits-bars .value')].map(e => parseFloat(e.textContent))")
        b.stroke((0, -80), (0, 80))
        b.wait(lambda: len([v for v in values() if v is not None and v == v]) == 10, "ten bars")
        self.assertAlmostEqual(sum(values()), 100, delta=6)
        b.click("digits-play")
        offer = b.wait(lambda: b.find("digits-own").is_displayed() and b.find("digits-own"), "the offer of drawn digits")
        self.assertIn("MNIST was not found", b.js("return document.querySelector('#digits > .error').textContent"))
        self.assertTrue(any("422" in c for c in b.complaints()))
        b.write("digits-steps", "40")
        offer.click()
        b.wait(lambda: self.chart_step("digits-losses") > 3, "losses")
        step = self.chart_step("digits-losses")
        b.wait(lambda: self.chart_step("digits-losses") > step + 5, "the plot to grow")
        b.wait(lambda: "of the test digits are right" in b.text("digits-figures"), "the accuracy")
        b.wait(lambda: values()[1] > 50, "the stroke to be taken for a one")
        b.wait(lambda: b.js("return document.querySelectorAll('#digits-mistakes canvas').length") > 0, "misread digits")
        b.driver.refresh()
        b.wait(lambda: self.chart_step("digits-losses") == 40, "the losses after a reload")
        b.wait(lambda: values()[1] > 50, "the drawing after a reload")
        b.click("digits-clear")
        b.wait(lambda: b.text("digits-bars") == "0123456789", "the bars to go")

    def test_digits_can_be_drawn_by_keys(self):
        b = self.open("digits")
        b.click("digits-clear")
        b.find("digits-canvas").send_keys(Keys.SPACE, *[Keys.ARROW_DOWN] * 12)
        b.wait(lambda: "%" in b.text("digits-bars"), "bars")
        b.find("digits-canvas").send_keys(Keys.DELETE)
        b.wait(lambda: "%" not in b.text("digits-bars"), "the bars to go")

    def test_several_pages_follow_one_training(self):
        b = self.open("digits")
        b.click("digits-reset")
        b.wait(lambda: b.text("digits-play") == "Play", "the reset")
        b.js("document.getElementById('digits-source').value = 'drawn'")
        b.write("digits-steps", "100000")
        b.click("digits-play")
        b.wait(lambda: self.chart_step("digits-losses") > 2, "losses")
        first = b.driver.current_window_handle
        b.driver.switch_to.new_window("tab")
        b.open(self.studio.address + "#/digits")
        b.wait(lambda: self.chart_step("digits-losses") > 3, "losses on the second page")
        b.click("digits-play")
        b.wait(lambda: b.text("digits-play") == "Go on", "the pause")
        step = self.chart_step("digits-losses")
        b.driver.close()
        b.driver.switch_to.window(first)
        b.wait(lambda: b.text("digits-play") == "Go on" and self.chart_step("digits-losses") == step, "the first page to follow")

    def test_gan_starts_pauses_and_draws_new_samples(self):
        b = self.open("gan")
        bright = lambda name: b.js("const c = document.getElementById(arguments[0]); const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
                                   "let most = 0; for (let i = 0; i < d.length; i += 4) most = Math.max(most, d[i]); return most;", name)
        b.js("document.getElementById('gan-source').value = 'drawn'; document.getElementById('gan-batch').value = '16';")
        b.click("gan-play")
        b.wait(lambda: bright("gan-sheet") > 0, "digits of noise")
        steps = lambda: int((re.match(r"(\d+) steps", b.text("gan-figures")) or [0, 0])[1])
        b.wait(lambda: steps() >= 3, "steps")
        b.click("gan-play")
        b.wait(lambda: b.text("gan-play") == "Go on", "the pause")
        then = steps()
        self.assertEqual(bright("gan-samples"), 0)
        b.click("gan-sample")
        b.wait(lambda: bright("gan-samples") > 0, "new samples")
        self.assertEqual(steps(), then)
        b.driver.refresh()
        b.wait(lambda: b.find("gan-batch").get_attribute("value") == "16", "the batch after a reload")

    def test_graph_shows_functions_and_says_where_they_are_wrong(self):
        b = self.open("graph")
        b.wait(lambda: "kernel" in b.text("graph-code"), "a kernel")
        self.assertIn("unstitched", b.text("graph-table"))
        b.write("graph-expression", "x + blub(x)")
        b.wait(lambda: "Character 5" in b.text("graph-problem"), "the place of the error")
        self.assertIn("    ^^^^", b.text("graph-problem"))
        b.write("graph-expression", "x^3")
        b.wait(lambda: "x^3" in b.find("graph-plot").get_attribute("aria-label") and not b.find("graph-problem").is_displayed(), "the plot")
        b.driver.refresh()
        b.wait(lambda: b.find("graph-expression").get_attribute("value") == "x^3", "the function after a reload")

    def test_graph_draws_what_a_training_step_becomes(self):
        b = self.open("graph")
        b.click("graph-open")
        frame = b.wait(lambda: b.js("return document.querySelector('#graph-page iframe')"), "the page that explains")
        b.driver.switch_to.frame(frame)
        b.wait(lambda: b.js("return document.querySelectorAll('#boxes .box').length") > 10, "boxes")
        b.driver.switch_to.default_content()

    def test_tabs_are_reached_by_keys(self):
        b = self.open("text")
        b.find("tab-text").send_keys(Keys.ARROW_RIGHT)
        self.assertTrue(b.find("digits").is_displayed())
        self.assertFalse(b.find("text").is_displayed())
        b.find("tab-digits").send_keys(Keys.END)
        self.assertTrue(b.find("graph").is_displayed())
        self.assertTrue(b.driver.current_url.endswith("#/graph"))

    def test_colours_stay_as_they_were_chosen(self):
        b = self.open("text")
        before = b.js("return getComputedStyle(document.body).backgroundColor")
        b.click("theme")
        after = b.js("return getComputedStyle(document.body).backgroundColor")
        self.assertNotEqual(before, after)
        b.driver.refresh()
        self.assertEqual(b.js("return getComputedStyle(document.body).backgroundColor"), after)
        b.click("theme")

    def test_everything_fits_a_phone(self):
        b = self.browser
        b.resize(390, 800)
        try:
            for tab in ("text", "digits", "gan", "graph"):
                self.open(tab)
                self.assertLessEqual(b.js("return document.documentElement.scrollWidth"), 390, tab)
        finally:
            b.resize(1280, 900)

    def test_the_device_can_be_chosen(self):
        b = self.open("text")
        before = b.find("device").get_attribute("value")
        choose = "const d = document.getElementById('device'); d.value = arguments[0]; d.dispatchEvent(new Event('change'));"
        b.js(choose, "reference")
        b.wait(lambda: self.studio.state()["studio"]["device"] == "reference", "the device")
        b.js(choose, before)
        b.wait(lambda: self.studio.state()["studio"]["device"] == before, "the device before")

    def test_foreign_pages_get_nothing(self):
        b = self.browser
        b.driver.get("data:text/html,<title>foreign</title>")
        for mode in ("cors", "no-cors"):
            seen = b.driver.execute_async_script(
                "const done = arguments[2]; fetch(arguments[0] + 'api/digits/play', {method: 'POST', mode: arguments[1], body: '{}'})"
                ".then(r => done(r.type)).catch(() => done('refused'));", self.studio.address, mode)
            self.assertIn(seen, ("refused", "opaque"))
        b.complaints()
        self.assertFalse(self.studio.state()["digits"]["playing"])

    def test_zz_the_page_says_when_the_studio_is_gone(self):
        b = self.open("text")
        self.studio.process.terminate()
        b.wait(lambda: "No connection" in b.text("connection"), "the notice")
        b.complaints()


if __name__ == "__main__":
    sys.argv = sys.argv[:1]
    unittest.main(verbosity=2)
