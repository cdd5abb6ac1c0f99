// Keeps a page fresh: takes the parts that the server has rendered anew, and counts the spans of time.
// Without it the page still works. Nothing here makes HTML of anything but what the server has escaped.
"use strict";

const SILENT_MS = 15000; // three beats missed: what is shown is old
const AGAIN_MS = 5000;
let source = null;
let heardAt = 0;
let over = false; // there is nothing more to hear
let aheadMs = 0; // the server's clock less this one

// ---- spans of time: as bridge/core/duration.py says them

function spoken(seconds) {
  const whole = Math.round(seconds);
  if (seconds < 10) return seconds.toFixed(1) + "s";
  const days = Math.floor(whole / 86400), hours = Math.floor(whole / 3600) % 24;
  const minutes = Math.floor(whole / 60) % 60, rest = whole % 60;
  const two = (number) => String(number).padStart(2, "0");
  if (days) return `${days}d ${hours}h`;
  if (hours) return `${hours}h ${two(minutes)}m`;
  return minutes ? `${minutes}m ${two(rest)}s` : `${whole}s`;
}

function setClock(now) {
  aheadMs = Date.parse(now) - Date.now();
  count();
}

function count() {
  const now = Date.now() + aheadMs;
  for (const time of document.querySelectorAll("time[data-since], time[data-countdown]")) {
    const passed = (now - Date.parse(time.dateTime)) / 1000;
    let text = spoken(Math.max(0, Math.floor(Math.abs(passed) * 10) / 10));
    if ("countdown" in time.dataset) text = passed <= 0 ? `in ${text}` : `${text} ago`;
    if (time.textContent !== text) time.textContent = text;
  }
}

// ---- a part that changed goes into the one that is there: what has the focus, is open or scrolled stays so

function merge(old, fresh) {
  if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName) return old.replaceWith(fresh);
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
    return;
  }
  for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && !(name === "open" && old.nodeName === "DETAILS")) old.removeAttribute(name);
  }
  mergeChildren(old, fresh);
}

function mergeChildren(old, fresh) {
  const keyed = new Map([...old.children].filter((one) => one.dataset.key).map((one) => [one.dataset.key, one]));
  let at = old.firstChild;
  for (const next of [...fresh.childNodes]) {
    const key = next.nodeType === Node.ELEMENT_NODE ? next.dataset.key : undefined;
    const match = key === undefined ? at : keyed.get(key);
    if (key !== undefined && match === undefined) {
      next.classList.add("fresh");
      old.insertBefore(next, at);
    } else if (match === undefined || match === null) {
      old.appendChild(next);
    } else if (key === undefined && match.nodeType === Node.ELEMENT_NODE && match.dataset.key) {
      old.insertBefore(next, at); // a keyed one keeps its place for its own
    } else {
      if (match !== at) old.insertBefore(match, at);
      at = match.nextSibling;
      merge(match, next);
    }
  }
  while (at) {
    const gone = at;
    at = at.nextSibling;
    gone.remove();
  }
}

function take(part) {
  const old = document.getElementById(part.id);
  if (!old) return;
  const held = document.activeElement;
  const made = document.createElement("template");
  made.innerHTML = part.html;
  const fresh = made.content.firstElementChild;
  if (fresh) merge(old, fresh);
  // What had the focus is gone: who works by keyboard goes on from the part that it was in, and not from the top.
  if (held && held !== document.body && !held.isConnected) {
    const place = document.getElementById(part.id);
    place.tabIndex = -1;
    place.focus({ preventScroll: true });
  }
}

// ---- hearing

function say(state, words) {
  const place = document.getElementById("live");
  if (!place) return;
  place.hidden = false;
  if (place.textContent !== words) place.textContent = words;
  place.className = `live ${state}`;
}

function heard() {
  heardAt = Date.now();
  say("good", "live");
}

function listen() {
  const address = document.querySelector('meta[name="live"]');
  if (!address || source || over || document.hidden) return;
  source = new EventSource(address.content);
  source.addEventListener("fragment", (event) => take(JSON.parse(event.data)));
  source.addEventListener("beat", (event) => {
    setClock(JSON.parse(event.data).now);
    heard();
  });
  source.addEventListener("gone", (event) => {
    over = true;
    stop();
    say("bad", event.data);
  });
  source.addEventListener("error", () => {
    if (source && source.readyState === EventSource.CLOSED) {
      stop();
      setTimeout(listen, AGAIN_MS);
    }
    if (Date.now() - heardAt < SILENT_MS) say("warn", "connecting again");
  });
}

function stop() {
  if (source) source.close();
  source = null;
}

if (document.querySelector('meta[name="live"]')) {
  say("", "connecting");
  heardAt = Date.now();
  listen();
  // A browser has few connections for one server: a page that nobody looks at gives its own back.
  document.addEventListener("visibilitychange", () => (document.hidden ? stop() : listen()));
  addEventListener("pagehide", stop);
  addEventListener("pageshow", listen);
  setInterval(() => {
    if (!over && Date.now() - heardAt > SILENT_MS) say("bad", `connection lost ${spoken((Date.now() - heardAt) / 1000)} ago`);
  }, 1000);
}
setClock(document.querySelector('meta[name="now"]').content); // whatever this machine takes it for
setInterval(count, 1000);
