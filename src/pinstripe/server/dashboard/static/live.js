// Live regions: each element with `data-live` (and an id) is replaced by what the same page has now, every few seconds
// while somebody looks. What is open, chosen or scrolled stays so; what fails is tried again later, and told.
const EVERY = 5_000;
const SLOWEST = 60_000;
const stale = document.querySelector("[data-stale]");
let wait = EVERY;
let since = Date.now();
let timer = 0;
let asking = null;
const shown = new WeakMap(); // what each region was made of, before times were told

function regions() {
  return [...document.querySelectorAll("[data-live][id]")];
}

// Somebody is at work in it: a menu is open, a field is filled in, text is marked.
function isBusy(region) {
  const active = document.activeElement;
  if (active && region.contains(active) && active.matches("input, select, textarea")) return true;
  const marked = document.getSelection();
  return Boolean(marked && !marked.isCollapsed && region.contains(marked.anchorNode));
}

function pathTo(element, root) {
  const path = [];
  for (let at = element; at !== root; at = at.parentElement) path.unshift([...at.parentElement.children].indexOf(at));
  return path;
}

function at(path, root) {
  return path.reduce((element, index) => element?.children[index], root);
}

function keyOf(element) {
  return element.id || element.dataset.key || element.getAttribute("href") || "";
}

function replace(region, fresh) {
  const html = fresh.innerHTML;
  if (shown.get(region) === html) return;
  shown.set(region, html);
  const open = new Set([...region.querySelectorAll("details[open]")].map((one) => keyOf(one) || pathTo(one, region).join()));
  const scrolled = [...region.querySelectorAll("*")].filter((one) => one.scrollTop || one.scrollLeft)
    .map((one) => [pathTo(one, region), one.scrollTop, one.scrollLeft]);
  const active = region.contains(document.activeElement) ? document.activeElement : null;
  const focused = active && { path: pathTo(active, region), key: keyOf(active), tag: active.tagName };
  region.replaceChildren(...document.importNode(fresh, true).childNodes);
  for (const one of region.querySelectorAll("details")) {
    if (open.has(keyOf(one) || pathTo(one, region).join())) one.open = true;
  }
  for (const [path, top, left] of scrolled) at(path, region)?.scrollTo(left, top);
  if (focused) {
    const same = [...region.querySelectorAll(focused.tag)].find((one) => focused.key && keyOf(one) === focused.key);
    (same ?? at(focused.path, region))?.focus?.({ preventScroll: true });
  }
  region.dispatchEvent(new CustomEvent("pinstripe:shown", { bubbles: true }));
}

function tell(words) {
  if (!stale) return;
  stale.hidden = !words;
  if (stale.textContent !== words) stale.textContent = words;
}

async function refresh() {
  clearTimeout(timer);
  if (document.hidden || asking) return;
  if (document.querySelector("dialog[open]")) { // what is asked about stays as it is
    timer = setTimeout(refresh, EVERY);
    return;
  }
  asking = new AbortController();
  const limit = setTimeout(() => asking?.abort(), 20_000);
  try {
    const answer = await fetch(location.href, {
      headers: { Accept: "text/html", "X-Pinstripe-Live": "1" }, cache: "no-store", redirect: "error", signal: asking.signal,
    });
    if (answer.status === 401) { // the session is over: the page leads to the login, and back
      location.reload();
      return;
    }
    if (!answer.ok) throw new Error(String(answer.status));
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const region of regions()) {
      const fresh = page.getElementById(region.id);
      if (fresh && !isBusy(region)) replace(region, fresh);
    }
    wait = EVERY;
    since = Date.now();
    tell("");
  } catch (error) {
    wait = Math.min(wait * 2, SLOWEST);
    const seconds = Math.round((Date.now() - since) / 1000);
    const why = /^\d+$/.test(error.message) ? `the server answers ${error.message}` : "the server can't be reached";
    tell(`This page is ${seconds} s old: ${why}. It is tried again in ${Math.round(wait / 1000)} s.`);
  } finally {
    clearTimeout(limit);
    asking = null;
    timer = setTimeout(look, wait);
  }
}

// A page that is told of what happens (`data-told`) asks when it is told to.
function look() {
  if (document.body.hasAttribute("data-told")) timer = setTimeout(look, wait);
  else refresh();
}

if (regions().length) {
  timer = setTimeout(look, EVERY);
  document.addEventListener("pinstripe:refresh", refresh);
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) clearTimeout(timer);
    else refresh();
  });
}
