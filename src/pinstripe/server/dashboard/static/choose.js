// Tenants that are ticked: the button says how many there are, and one box ticks all of a page.
const TICKS = '[data-choose]';

function count() {
  for (const form of document.querySelectorAll("form[data-choosing]")) {
    const button = form.querySelector("[data-chosen-button]");
    const words = form.querySelector("[data-chosen-count]");
    const all = form.querySelector("[data-choose-all]");
    const box = all.querySelector("input");
    const ticks = form.querySelectorAll(TICKS).length;
    const number = form.querySelectorAll(`${TICKS}:checked`).length;
    button.disabled = !number;
    button.textContent = number ? `Retry ${number === 1 ? "the chosen one" : `the ${number} chosen`}` : "Retry the chosen";
    words.hidden = number > 0;
    all.hidden = ticks < 2;
    box.checked = number === ticks;
    box.indeterminate = number > 0 && number < ticks;
  }
}

document.addEventListener("change", (event) => {
  if (event.target.matches("[data-choose-all] input")) {
    for (const tick of event.target.form.querySelectorAll(TICKS)) tick.checked = event.target.checked;
  }
  count();
});
document.addEventListener("pinstripe:shown", count);
window.addEventListener("pageshow", count);
count();
