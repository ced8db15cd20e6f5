// Keys: `/` goes to the search, `g` and a letter to a part of the dashboard, `?` shows them all. They can be turned off,
// for those who speak to their browser.
const OFF = "pinstripe.keys-off";
let before = "";
let timer = 0;
let help = null;

const places = [...document.querySelectorAll("nav.places a[data-key]")];

function row(keys, words) {
  const term = document.createElement("dt");
  for (const key of keys) {
    const one = document.createElement("kbd");
    one.textContent = key;
    term.append(one, " ");
  }
  const text = document.createElement("dd");
  text.textContent = words;
  return [term, text];
}

function areOff() {
  try {
    return localStorage.getItem(OFF) === "1";
  } catch {
    return false; // it may not be kept here
  }
}

function turn(button) {
  const off = !areOff();
  try {
    if (off) localStorage.setItem(OFF, "1");
    else localStorage.removeItem(OFF);
  } catch {
    return;
  }
  button.textContent = off ? "Turn them on" : "Turn them off";
}

function showHelp() {
  if (!help) {
    help = document.createElement("dialog");
    help.className = "ask";
    help.setAttribute("aria-labelledby", "keys-title");
    const title = document.createElement("h2");
    title.id = "keys-title";
    title.textContent = "Keyboard shortcuts";
    const list = document.createElement("dl");
    list.className = "keys";
    list.append(...row(["/"], "Search"), ...row(["?"], "These shortcuts"));
    for (const place of places) list.append(...row(["g", place.dataset.key], place.textContent.trim()));
    const form = document.createElement("form");
    form.method = "dialog";
    form.className = "ask-buttons";
    const toggle = document.createElement("button");
    toggle.type = "button";
    toggle.className = "quiet";
    toggle.textContent = areOff() ? "Turn them on" : "Turn them off";
    toggle.addEventListener("click", () => turn(toggle));
    const close = document.createElement("button");
    close.textContent = "Close";
    form.append(toggle, close);
    help.append(title, list, form);
    document.body.append(help);
  }
  if (!help.open) help.showModal();
}

function isTyping(element) {
  return element.isContentEditable || element.matches?.("input, select, textarea");
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (isTyping(event.target)) {
    if (event.key === "Escape" && event.target.matches("[data-search]")) event.target.blur();
    return;
  }
  if (areOff() || document.querySelector("dialog[open]")) return;
  const last = before;
  before = "";
  clearTimeout(timer);
  if (event.key === "/") {
    const search = document.querySelector("main [data-search]") ?? document.querySelector("[data-search]");
    if (!search) return;
    event.preventDefault();
    search.focus();
    search.select?.();
  } else if (event.key === "?") {
    event.preventDefault();
    showHelp();
  } else if (last === "g") {
    places.find((place) => place.dataset.key === event.key)?.click();
  } else if (event.key === "g") {
    before = "g";
    timer = setTimeout(() => { before = ""; }, 1500);
  }
});

for (const button of document.querySelectorAll("[data-keys]")) {
  button.parentElement.hidden = false;
  button.addEventListener("click", showHelp);
}
