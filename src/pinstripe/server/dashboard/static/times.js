// Times: each <time> is told as how long ago it was, its title has it in the viewer's zone and in UTC. Who can't point
// at one taps it, or has all of them told as dates by the button at the foot; among the facts about something both stand.
const KEY = "pinstripe.dates";
const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const NEAR = 7 * DAY;

const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
let dates = stored();

function stored() {
  try {
    return localStorage.getItem(KEY) === "1";
  } catch {
    return false; // it may not be kept here
  }
}

const two = (number) => String(number).padStart(2, "0");

function absolute(at) {
  const day = `${String(at.getFullYear()).padStart(4, "0")}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return `${day} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

function spanOf(seconds) {
  if (seconds < MINUTE) return `${Math.floor(seconds)} s`;
  if (seconds < HOUR) return `${Math.floor(seconds / MINUTE)} min`;
  if (seconds < DAY) {
    const minutes = Math.floor((seconds % HOUR) / MINUTE);
    return `${Math.floor(seconds / HOUR)} h${minutes ? ` ${minutes} min` : ""}`;
  }
  return `${Math.floor(seconds / DAY)} d`;
}

function relative(at, now) {
  const seconds = (now - at) / 1000;
  if (Math.abs(seconds) < 1) return "now";
  return seconds > 0 ? `${spanOf(seconds)} ago` : `in ${spanOf(-seconds)}`;
}

function withUTC(at) { // its date too, where that is another one there
  const here = absolute(at);
  const [day, clock] = at.toISOString().slice(0, 19).split("T");
  if (zone === "UTC") return `${here} UTC`;
  return `${here} (${here.startsWith(day) ? "" : `${day} `}${clock} UTC)`;
}

function words(time, at, now) {
  const here = absolute(at);
  const both = withUTC(at);
  if (time.hasAttribute("data-open")) return both;
  if (time.closest("dl.facts")) return `${both}, ${relative(at, now)}`;
  return dates || Math.abs(now - at) > NEAR * 1000 ? here : relative(at, now);
}

export function showTimes(root = document) {
  const now = Date.now();
  for (const time of root.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    if (Number.isNaN(at.getTime())) continue;
    const utc = `UTC ${at.toISOString().slice(0, 19).replace("T", " ")}`;
    const text = words(time, at, now);
    if (time.textContent !== text) time.textContent = text;
    const title = `${absolute(at)} (${zone})\n${utc}`;
    if (time.title !== title) time.title = title;
  }
}

function offerDates(foot) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "quiet small";
  button.dataset.dates = "";
  const tell = () => {
    button.textContent = dates ? "Show how long ago" : "Show dates";
  };
  button.addEventListener("click", () => {
    dates = !dates;
    try {
      localStorage.setItem(KEY, dates ? "1" : "0");
    } catch {
      // then it is so until the next page
    }
    tell();
    showTimes();
  });
  tell();
  foot.after(" ", button);
}

document.addEventListener("click", (event) => {
  const time = event.target instanceof Element ? event.target.closest("time[datetime]") : null;
  if (!time || time.closest("a, button, summary, label, dl.facts")) return;
  time.toggleAttribute("data-open");
  showTimes(time.parentElement);
});

const foot = document.querySelector("[data-zone]");
if (foot) {
  if (zone !== "UTC") foot.textContent = `times are in ${zone}; point at one, or tap it, for UTC`;
  offerDates(foot);
}
showTimes();
setInterval(() => { if (!document.hidden) showTimes(); }, 1000);
document.addEventListener("visibilitychange", () => { if (!document.hidden) showTimes(); });
document.addEventListener("pinstripe:shown", (event) => showTimes(event.target));
