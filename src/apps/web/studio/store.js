// What the server shows, kept up to date. The server has everything; a page that is loaded anew, or seen again, asks for all of it.

const state = {}, followers = [], longestList = 8192;
let source = null;

/// Calls f(topic's state, names of what changed) now and at each change.
export function follow(topic, f) {
  followers.push({topic, f});
  if (state[topic]) f(state[topic], new Set(Object.keys(state[topic])));
}
export const stateOf = topic => state[topic] || {};

function tell(topic, names) {
  for (const follower of followers) if (follower.topic === topic) follower.f(state[topic], names);
}

const changes = new Map();  // of this frame
function changed(topic, names) {
  if (!changes.size) {
    const tellAll = () => {
      const list = [...changes];
      changes.clear();
      for (const [t, n] of list) tell(t, n);
    };
    requestAnimationFrame(tellAll);
  }
  changes.set(topic, new Set([...(changes.get(topic) || []), ...names]));
}

function take(entry) {
  if (entry.whole) {
    for (const [topic, values] of Object.entries(entry.whole)) {
      state[topic] = values;
      changed(topic, Object.keys(values));
    }
  } else if (entry.set) {
    Object.assign(state[entry.topic] ??= {}, entry.set);
    changed(entry.topic, Object.keys(entry.set));
  } else {
    const values = state[entry.topic] ??= {};
    for (const [name, more] of Object.entries(entry.append)) {
      if (typeof more === "string") values[name] = (values[name] || "") + more;
      else {
        (values[name] ??= []).push(...more);
        if (values[name].length > longestList) values[name] = values[name].filter((_, i) => i % 2 === 0);
      }
    }
    changed(entry.topic, Object.keys(entry.append));
  }
}

/// `connection` is told whether there is one.
export function connect(connection) {
  const open = () => {
    if (source) return;
    source = new EventSource("/events");
    source.onopen = () => connection(true);
    source.onmessage = message => take(JSON.parse(message.data));
    source.onerror = () => {
      connection(false);
      // The browser tries again by itself unless it was refused.
      if (source && source.readyState === EventSource.CLOSED) close(), setTimeout(open, 3000);
    };
  };
  const close = () => {
    if (source) source.close();
    source = null;
  };
  // Browsers allow few connections to a server: pages that nobody sees need none.
  document.addEventListener("visibilitychange", () => document.hidden ? close() : open());
  addEventListener("pagehide", close);
  open();
}
