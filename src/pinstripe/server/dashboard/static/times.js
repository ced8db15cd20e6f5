// Times: each <time> is told as how long ago it was, or in the viewer's zone; its title has both the zone's and UTC.
const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const NEAR = 7 * DAY;

const absolute = new Intl.DateTimeFormat(undefined, {
  year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit",
});
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;

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
  if (Math.abs(seconds) > NEAR) return absolute.format(at);
  return seconds > 0 ? `${spanOf(seconds)} ago` : `in ${spanOf(-seconds)}`;
}

export function showTimes(root = document) {
  const now = Date.now();
  for (const time of root.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    if (Number.isNaN(at.getTime())) continue;
    const utc = (time.dataset.utc ??= time.title || time.textContent);
    const here = absolute.format(at);
    const text = time.dataset.as === "absolute" ? here : relative(at, now);
    if (time.textContent !== text) time.textContent = text;
    const title = `${here} (${zone})\n${utc}`;
    if (time.title !== title) time.title = title;
  }
}

const foot = document.querySelector("[data-zone]");
if (foot && zone !== "UTC") foot.textContent = `times are in ${zone}; point at one for UTC`;
showTimes();
setInterval(() => { if (!document.hidden) showTimes(); }, 1000);
document.addEventListener("visibilitychange", () => { if (!document.hidden) showTimes(); });
document.addEventListener("pinstripe:shown", (event) => showTimes(event.target));
