// A run that goes on: its counts, its pace and what it waits for, as the server tells them. What lists its tenants is
// fetched anew when more have failed, and when it has ended. Where no events come, the page refreshes as others do.
const box = document.querySelector("[data-events]");
const WIDEST = 1000;
const LEAST = 8;
const SAY_EVERY = 15_000;
const LAST_LOOKS = 20_000;
let failed = Number(box?.dataset.failed ?? 0);
let said = Date.now();
let asked = 0;

function show(selector, words, within = box) {
  const found = within.querySelector(selector);
  if (found && found.textContent !== words) found.textContent = words;
}

function bar(counts) {
  const parts = [...box.querySelectorAll("[data-share]")];
  const wanted = parts.map((part) => {
    const number = counts[part.dataset.share] ?? 0;
    return number ? Math.max((number / Math.max(counts.total, 1)) * WIDEST, LEAST) : 0;
  });
  const scale = Math.min(WIDEST / Math.max(wanted.reduce((sum, width) => sum + width, 0), 1), 1);
  let x = 0;
  parts.forEach((part, index) => {
    part.setAttribute("x", x.toFixed(2));
    part.setAttribute("width", (wanted[index] * scale).toFixed(2));
    x += wanted[index] * scale;
  });
}

function say(words, now = false) {
  if (!now && Date.now() - said < SAY_EVERY) return;
  said = Date.now();
  show("[data-says]", words, document);
}

function fetchAnew() { // at most once in two seconds, however quickly more fail
  if (asked) return;
  asked = setTimeout(() => {
    asked = 0;
    document.dispatchEvent(new CustomEvent("pinstripe:refresh"));
  }, 2_000);
}

function tell(look) {
  const counts = look.executions;
  for (const [name, number] of Object.entries(counts)) show(`[data-count="${name}"]`, number.toLocaleString("en"));
  show("[data-pace]", look.trouble ? `${look.pace} (not known just now: ${look.trouble})` : look.pace);
  const waits = box.querySelector("[data-waiting]");
  if (waits) {
    waits.hidden = !look.waiting;
    waits.querySelector("span").textContent = look.waiting ?? "";
  }
  bar(counts);
  say(`${look.status}: ${look.pace}${counts.failed ? `, ${counts.failed.toLocaleString("en")} failed` : ""}`);
  if (counts.failed !== failed) {
    failed = counts.failed;
    fetchAnew();
  }
}

if (box && "EventSource" in window) {
  const events = new EventSource(box.dataset.events);
  const pause = (on) => document.body.toggleAttribute("data-told", on);
  events.addEventListener("open", () => pause(true));
  events.addEventListener("error", () => pause(false));
  events.addEventListener("progress", (event) => tell(JSON.parse(event.data)));
  events.addEventListener("finished", (event) => {
    const look = JSON.parse(event.data);
    events.close();
    pause(false);
    tell(look);
    say(`This run has ended: ${look.status}.`, true);
    document.dispatchEvent(new CustomEvent("pinstripe:refresh")); // now it can be retried
    setTimeout(() => {
      for (const region of document.querySelectorAll("[data-live]")) region.removeAttribute("data-live");
    }, LAST_LOOKS);
  });
  window.addEventListener("pagehide", () => events.close());
}
