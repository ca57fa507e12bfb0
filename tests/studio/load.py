#!/usr/bin/env python3
"""Puts a studio under a load of page actions: load.py WEFT [MINUTES] [ARGUMENTS OF weft studio].

A browser does what people do, in random order, while programs ask over HTTP and follow the news, come and go. Prints memory and counts twice a minute;
exits with 1 when anything failed."""
import json
import random
import sys
import threading
import time
import urllib.error
import urllib.request

from browser import Browser, Studio

expressions = ["0.5*x*(1+erf(x*0.7071))", "x/(1+exp(-x))", "sin(3*x)*exp(-x^2)", "max(x, 0.1*x)", "tanh(x)^2", "1/x", "x +* 2", "blub(x)", "(x", ""]


class Load:
    def __init__(self, weft, arguments):
        self.studio = Studio(weft, *arguments, has_data=True)
        self.browser = Browser()
        self.random = random.Random(1)
        self.counts, self.failures, self.ends = {}, [], False

    def count(self, what):
        self.counts[what] = self.counts.get(what, 0) + 1

    def post(self, path, arguments):
        """Gives the status; those of 500 and more are failures."""
        request = urllib.request.Request(self.studio.address + "api/" + path, json.dumps(arguments).encode(), {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=120) as reply:
                return reply.status
        except urllib.error.HTTPError as error:
            if error.code >= 500:
                self.failures.append(f"{path}: {error.code} {error.read()}")
            return error.code

    # What people do -----------------------------------------------------------------------------------------------------

    def show(self, tab):
        if not self.browser.find(tab).is_displayed():
            self.browser.click("tab-" + tab)

    def press(self, name):
        button = self.browser.find(name)
        if button.is_displayed() and button.is_enabled():
            self.browser.js("arguments[0].click()", button)

    def generate(self):
        self.show("text")
        self.browser.slide("text-temperature", self.random.uniform(0.1, 3))
        self.browser.slide("text-length", self.random.choice([50, 400, 2000]))
        self.press("text-generate")

    def change_temperature(self):
        self.show("text")
        self.browser.slide("text-temperature", self.random.uniform(0.1, 3))

    def draw(self):
        self.show("digits")
        self.browser.stroke(*[(self.random.randint(-100, 100), self.random.randint(-100, 100)) for _ in range(4)])
        if self.random.random() < 0.5:
            self.press("digits-clear")

    def type_function(self):
        self.show("graph")
        self.browser.write("graph-expression", self.random.choice(expressions))

    def open_graph(self):
        self.show("graph")
        choices = self.browser.find("graph-choice")
        self.browser.js("arguments[0].selectedIndex = arguments[1]", choices, self.random.randint(0, 8))
        self.press("graph-open")

    def reload(self):
        self.browser.driver.refresh()
        self.browser.wait(lambda: self.browser.js("return document.getElementById('device').options.length > 0"), "the page")

    def open_another_page(self):
        first = self.browser.driver.current_window_handle
        self.browser.driver.switch_to.new_window("tab")
        self.browser.open(self.studio.address + "#/gan")
        self.browser.driver.close()
        self.browser.driver.switch_to.window(first)

    def actions(self):
        def pressing(tab, name):
            def act():
                self.show(tab)
                self.press(name)
            act.__name__ = name
            return act
        often = [self.generate, self.change_temperature, self.draw, self.type_function, pressing("digits", "digits-play"), pressing("gan", "gan-play"),
                 pressing("text", "text-play")]
        seldom = [self.open_graph, self.reload, self.open_another_page, pressing("text", "text-stop"), pressing("text", "text-reset"),
                  pressing("digits", "digits-reset"), pressing("digits", "digits-test"), pressing("gan", "gan-sample"), pressing("gan", "gan-reset"),
                  pressing("text", "theme")]
        return 3 * often + seldom

    # What programs do ---------------------------------------------------------------------------------------------------

    def ask(self, seed):
        own = random.Random(seed)
        while not self.ends:
            try:
                kind = own.randrange(4)
                if kind == 0:
                    self.studio.state()
                elif kind == 1:
                    self.post("text/temperature", {"temperature": own.uniform(0.1, 3)})
                elif kind == 2:
                    self.post("graph/function", {"expression": own.choice(expressions), "from": -3, "to": 3})
                else:
                    self.post("digits/classify", {})  # not a drawing: refused
                self.count("requests")
            except Exception as error:  # whatever it is, it is what the load is to find
                self.failures.append(f"request: {error!r}")
            time.sleep(own.uniform(0.05, 0.6))

    def run(self, minutes):
        programs = [threading.Thread(target=self.ask, args=(seed,)) for seed in range(3)]
        self.browser.open(self.studio.address)
        actions = self.actions()
        for program in programs:
            program.start()
        begun = told = time.monotonic()
        try:
            while time.monotonic() - begun < 60 * minutes and self.studio.process.poll() is None:
                action = self.random.choice(actions)
                try:
                    action()
                except Exception as error:
                    self.failures.append(f"{action.__name__}: {error!r}")
                self.count("actions")
                time.sleep(self.random.uniform(0, 0.5))
                if time.monotonic() - told > 30:
                    told = time.monotonic()
                    self.tell(told - begun)
        finally:
            self.ends = True
            for program in programs:
                program.join()
        if self.studio.process.poll() is not None:
            self.failures.append(f"the studio ended with {self.studio.process.returncode}")
        else:
            self.tell(time.monotonic() - begun)

    def tell(self, seconds):
        # Refusals of what is meant to be refused are no failures; a page of several tabs may be gone before it has its answer.
        self.failures += [c for c in self.browser.complaints() if "status of 4" not in c and "ERR_ABORTED" not in c]
        for topic, state in self.studio.state().items():
            if state.get("error"):
                self.failures.append(f"{topic}: {state['error']}")
        print(f"{seconds:5.0f} s  {self.counts}  failures {len(self.failures)}  memory {self.studio.resident() / 1024:.0f} MB", flush=True)

    def close(self):
        self.browser.close()
        self.studio.close()


def main():
    load = Load(sys.argv[1], sys.argv[3:])
    try:
        load.run(float(sys.argv[2]) if len(sys.argv) > 2 else 10)
    finally:
        load.close()
    for failure in load.failures:
        print(failure)
    sys.exit(1 if load.failures else 0)


if __name__ == "__main__":
    main()
