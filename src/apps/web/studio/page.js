// What the tabs have in common.

export const $ = id => document.getElementById(id);

export function element(tag, properties = {}, ...children) {
  const e = Object.assign(document.createElement(tag), properties);
  e.append(...children);
  return e;
}

/// Shows what went wrong at the top of a tab; nothing hides it.
export function showError(tab, message) {
  const place = document.querySelector(`#${tab} > .error`);
  place.textContent = message || "";
  place.hidden = !message;
}

async function answered(tab, request) {
  let response;
  try {
    response = await request;
  } catch {
    throw showError(tab, "The studio does not answer; is it still running?"), new Error("no answer");
  }
  if (response.ok) return response;
  let message = response.statusText;
  try {
    message = (await response.json()).error;
  } catch { /* not from the studio */ }
  showError(tab, message);
  throw new Error(message);
}

/// Sends JSON, or bytes as they are, and gives the answer.
export async function post(tab, path, body = {}) {
  const bytes = body instanceof Uint8Array;
  const request = fetch(path, {method: "POST", headers: {"Content-Type": bytes ? "application/octet-stream" : "application/json"},
                               body: bytes ? body : JSON.stringify(body)});
  const response = await answered(tab, request);
  return response.json();
}
export async function get(tab, path) { return answered(tab, fetch(path)); }

/// For buttons: what is wrong stands on the page already.
export const quietly = promise => promise.catch(() => {});

export const whole = n => Math.round(n).toLocaleString("en");
export const figure = (n, digits = 3) => Number.isFinite(n) ? n.toPrecision(digits) : "\u2013";

/// "12 steps  3.4 steps/s" as elements with values that stand out.
export function figures(place, list) {
  place.replaceChildren(...list.filter(([, value]) => value !== null && value !== undefined && value !== "")
                            .map(([name, value]) => element("span", {}, element("b", {textContent: value}), " " + name)));
}

/// A slider's value beside its name.
export function showValue(input, format = v => v) {
  const output = document.querySelector(`output[for=${input.id}]`);
  const show = () => { output.textContent = format(input.value); };
  input.addEventListener("input", show);
  show();
  return show;
}

export function fillSelect(select, options, chosen) {
  const wanted = chosen ?? select.value;
  select.replaceChildren(...options.map(([value, label]) => element("option", {value, textContent: label})));
  if (options.some(([value]) => value === wanted)) select.value = wanted;
}

/// At most one call at a time and the last one always: for what follows a hand.
export function latest(f) {
  let running = false, waiting = null;
  return async function call(...args) {
    if (running) { waiting = args; return; }
    running = true;
    try { await f(...args); } catch { /* shown */ }
    running = false;
    if (waiting) {
      const next = waiting;
      waiting = null;
      call(...next);
    }
  };
}
