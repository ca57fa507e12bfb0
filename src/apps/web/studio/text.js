// The text generator.
import {follow} from "./store.js";
import {$, figure, figures, fillSelect, latest, post, quietly, showError, showValue, whole} from "./page.js";
import {Chart, smoothed} from "./chart.js";

export function startText() {
  showValue($("text-length"), v => v + " characters");
  const showTemperature = showValue($("text-temperature"), v => (+v).toFixed(2));
  const ask = (path, body) => quietly(post("text", "/api/text/" + path, body));
  $("text-losses").setAttribute("aria-label", "Loss of the text training");
  const chart = new Chart($("text-losses"), {lines: ["loss", "smoothed", "validation"], colours: ["--line-1-pale", "--line-1", "--line-2"],
                                             widths: [1, 2.2, 2.2], marked: "validation", x: "step"});

  $("text-form").addEventListener("submit", e => {
    e.preventDefault();
    showError("text", "");
    ask("generate", {text: $("text-start").value, length: +$("text-length").value, temperature: +$("text-temperature").value,
                     weights: $("text-weights").value, pace: +$("text-pace").value, seed: Math.floor(Math.random() * 2 ** 48)});
  });
  $("text-stop").addEventListener("click", () => ask("stop"));
  const sendTemperature = latest(t => post("text", "/api/text/temperature", {temperature: t}));
  $("text-temperature").addEventListener("input", () => sendTemperature(+$("text-temperature").value));
  $("text-play").addEventListener("click", () => {
    if ($("text-play").dataset.runs) return ask("pause");
    const [layers, hidden] = $("text-network").value.split(" ").map(Number);
    showError("text", "");
    ask("play", {layers, hidden, steps: +$("text-steps").value});
  });
  $("text-reset").addEventListener("click", () => ask("reset"));

  let written = null, first = true;
  follow("text", (s, names) => {
    if (first) {
      first = false;
      if (s.start !== undefined) $("text-start").value = s.start, $("text-length").value = s.length;
      $("text-length").dispatchEvent(new Event("input"));
    }
    if (names.has("error")) showError("text", s.error);
    if (names.has("weights")) fillSelect($("text-weights"), s.weights.map(w => [w, w]), $("text-weights").value || s.chosen);
    if (names.has("temperature") && document.activeElement !== $("text-temperature")) $("text-temperature").value = s.temperature, showTemperature();
    if (names.has("text") || names.has("start")) write(s);
    $("text-stop").disabled = !s.generating;
    $("text-output").classList.toggle("writing", s.generating);
    $("text-speed").textContent = s.speed ? `${whole(s.speed)} characters/s` : "";
    $("text-corpus").textContent = s.corpus ? "the training text" : "a text (none was found; see what this link says)";
    train(s, names);
  });

  function write(s) {
    const place = $("text-output"), all = (s.text || "");
    const atEnd = place.scrollHeight - place.scrollTop - place.clientHeight < 40;
    if (s.start === undefined) return place.replaceChildren(Object.assign(document.createElement("span"), {className: "hint", textContent: "What it writes appears here."}));
    if (written === null || !place.querySelector("b") || !all.startsWith(written) || place.querySelector("b").textContent !== s.start) {
      const begin = document.createElement("b");
      begin.textContent = s.start;
      place.replaceChildren(begin, document.createTextNode(all));
    } else {
      place.lastChild.appendData(all.slice(written.length));
    }
    written = all;
    if (atEnd) place.scrollTop = place.scrollHeight;
  }

  function train(s, names) {
    const button = $("text-play");
    button.textContent = s.training ? "Pause" : s.steps && s.steps < s.target ? "Go on" : "Train";
    button.dataset.runs = s.training ? "1" : "";
    $("text-save").hidden = !s.steps;
    const last = s.losses?.at(-1), valid = s.validations?.at(-1);
    figures($("text-figures"), [[`of ${whole(s.target)} steps`, s.target ? whole(s.steps) : ""], ["steps/s", s.rate ? figure(s.rate) : ""],
                                ["characters/s", s.learnt ? whole(s.learnt) : ""], ["nats a character", last ? last[1].toFixed(3) : ""],
                                ["validation", valid ? valid[1].toFixed(3) : ""]]);
    if (!names.has("losses") && !names.has("validations")) return;
    const validations = new Map(s.validations);
    chart.show(smoothed(s.losses || []).map(r => [...r, validations.get(r[0]) ?? null]), last ? `now ${last[1].toFixed(3)} at step ${last[0]}` : "");
  }
}
