// The digit classifier.
import {follow} from "./store.js";
import {$, element, figure, figures, get, latest, post, quietly, showError, whole} from "./page.js";
import {Chart, smoothed} from "./chart.js";
import {Drawing} from "./drawing.js";
import {bytesOf, offerDrawn, paint} from "./tiles.js";

const percent = (p, digits = 1) => (100 * p).toFixed(digits) + " %";

function makeBars(place) {
  const bars = [];
  for (let digit = 0; digit < 10; ++digit) {
    const fill = element("i"), value = element("span", {className: "value"});
    const bar = element("div", {className: "bar"}, element("b", {textContent: digit}), element("span", {className: "track"}, fill), value);
    place.append(bar);
    bars.push({bar, fill, value});
  }
  return probabilities => bars.forEach(({bar, fill, value}, digit) => {
    const p = probabilities ? probabilities[digit] : 0;
    fill.style.width = 100 * p + "%";
    value.textContent = probabilities ? percent(p, 0) : "";
    bar.classList.toggle("best", !!probabilities && p === Math.max(...probabilities));
  });
}

export function startDigits() {
  $("digits-losses").setAttribute("aria-label", "Loss of the digit classifier");
  const chart = new Chart($("digits-losses"), {lines: ["loss", "smoothed"], colours: ["--line-1-pale", "--line-1"], widths: [1, 2.2], x: "step", zero: true});
  const ask = (path, body) => quietly(post("digits", "/api/digits/" + path, body));
  const play = () => {
    showError("digits", "");
    ask("play", {steps: +$("digits-steps").value, source: $("digits-source").value});
  };
  const offer = offerDrawn("digits", $("digits-source"), play);
  $("digits-play").addEventListener("click", () => $("digits-play").dataset.runs ? ask("pause") : play());
  $("digits-reset").addEventListener("click", () => ask("reset"));
  $("digits-test").addEventListener("click", () => ask("test"));

  const showBars = makeBars($("digits-bars")), empty = new Uint8Array(28 * 28);
  let drawn = null;
  const classify = latest(async () => {
    const answer = drawn && await post("digits", "/api/digits/classify", drawn);
    const known = drawn && answer && answer.probabilities;
    showBars(known ? answer.probabilities : null);
    paint($("digits-seen"), known ? answer.seen : empty);
  });
  const drawing = new Drawing($("digits-canvas"), pixels => { drawn = pixels; classify(); });
  $("digits-clear").addEventListener("click", () => drawing.clear());

  let asked = 0, mistakes = null;
  follow("digits", (s, names) => {
    if (names.has("error")) showError("digits", s.error);
    if (names.has("needs_data")) offer(s.needs_data);
    if (names.has("source") && document.activeElement !== $("digits-source")) $("digits-source").value = s.source;
    const button = $("digits-play");
    button.textContent = s.playing || s.testing ? "Pause" : s.steps ? "Go on" : "Play";
    button.dataset.runs = s.playing || s.testing ? "1" : "";
    $("digits-data").textContent = s.data;
    const last = s.losses?.at(-1);
    figures($("digits-figures"), [
      [`of ${whole(s.target)} steps`, s.target ? whole(s.steps) : ""], ["steps/s", s.rate ? figure(s.rate) : ""], ["loss", last ? last[1].toFixed(3) : ""],
      [s.testing ? "test digits read" : "", s.testing ? whole(s.tested) : ""], ["of the test digits are right", s.accuracy ? percent(s.accuracy, 2) : ""],
    ]);
    if (names.has("losses")) chart.show(smoothed(s.losses || []), last ? `now ${last[1].toFixed(3)} at step ${last[0]}` : "");
    // The drawing is judged anew as the network learns.
    if (drawn && names.has("steps") && performance.now() - asked > 400) {
      asked = performance.now();
      classify();
    }
    if (names.has("mistakes")) quietly(showMistakes(s));
  });

  async function showMistakes(s) {
    const list = s.mistakes || [];
    $("digits-wrong").hidden = !list.length;
    mistakes = list;
    if (!list.length) return $("digits-mistakes").replaceChildren();
    const bytes = await bytesOf(get("digits", "/api/digits/mistakes"));
    if (mistakes !== list || bytes.length !== list.length * 784) return;
    $("digits-wrong-hint").textContent = `${whole(s.wrong)} were wrong; these are the first. Below each: what it was taken for, and what it is.`;
    $("digits-mistakes").replaceChildren(...list.map((m, i) => {
      const canvas = element("canvas", {width: 28, height: 28});
      canvas.setAttribute("aria-hidden", "true");
      paint(canvas, bytes.subarray(784 * i, 784 * (i + 1)));
      return element("figure", {}, canvas, element("figcaption", {}, element("b", {textContent: m.taken}), ` not ${m.is}`));
    }));
  }
}
