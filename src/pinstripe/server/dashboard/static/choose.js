// Tenants that are ticked: the button says how many there are.
function count() {
  for (const form of document.querySelectorAll("form[data-choosing]")) {
    const button = form.querySelector("[data-chosen-button]");
    const words = form.querySelector("[data-chosen-count]");
    const number = form.querySelectorAll('input[name="tenant"]:checked').length;
    button.disabled = !number;
    button.textContent = number ? `Retry ${number === 1 ? "the chosen one" : `the ${number} chosen`}` : "Retry the chosen";
    words.hidden = number > 0;
  }
}

document.addEventListener("change", count);
document.addEventListener("pinstripe:shown", count);
window.addEventListener("pageshow", count);
count();
