// The page: tabs, device, colours, and the line to the server.
import {connect, follow} from "./store.js";
import {$, fillSelect, post, quietly} from "./page.js";
import {recolour} from "./chart.js";
import {startDigits} from "./digits.js";
import {startGan} from "./gan.js";
import {startGraph} from "./graph.js";
import {startText} from "./text.js";

const tabs = [...document.querySelectorAll("[role=tab]")];

function choose(name, focus = false) {
  const tab = tabs.find(t => t.getAttribute("aria-controls") === name) || tabs[0];
  for (const t of tabs) {
    const chosen = t === tab;
    t.setAttribute("aria-selected", chosen);
    t.tabIndex = chosen ? 0 : -1;
    $(t.getAttribute("aria-controls")).hidden = !chosen;
  }
  if (focus) tab.focus();
  // No element has this name, so that nothing scrolls to it.
  const anchor = "#/" + tab.getAttribute("aria-controls");
  if (location.hash !== anchor) history.replaceState(null, "", anchor);
  dispatchEvent(new CustomEvent("tab", {detail: anchor.slice(2)}));
}
for (const tab of tabs) tab.addEventListener("click", () => choose(tab.getAttribute("aria-controls")));
$("tabs").addEventListener("keydown", e => {
  const now = tabs.findIndex(t => t.tabIndex === 0);
  const next = {ArrowRight: now + 1, ArrowLeft: now - 1, Home: 0, End: tabs.length - 1}[e.key];
  if (next === undefined) return;
  e.preventDefault();
  choose(tabs[(next + tabs.length) % tabs.length].getAttribute("aria-controls"), true);
});
addEventListener("hashchange", () => choose(location.hash.slice(2)));

$("theme").addEventListener("click", () => {
  const root = document.documentElement;
  root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark";
  localStorage.setItem("theme", root.dataset.theme);
  recolour();
  dispatchEvent(new CustomEvent("theme"));
});

const current = () => tabs.find(t => t.tabIndex === 0).getAttribute("aria-controls");
$("device").addEventListener("change", () => quietly(post(current(), "/api/device", {device: $("device").value})));
follow("studio", s => fillSelect($("device"), s.devices.map(d => [d.name, d.description]), s.device));

startText();
startDigits();
startGan();
startGraph();
choose(location.hash.slice(2));
connect(there => {
  $("connection").textContent = there ? "" : "No connection";
  document.body.classList.toggle("alone", !there);
});
