// Forms with `data-confirm` ask first, in a dialog. Without scripts they are sent as they are.
let asked = null;

function dialog() {
  const made = document.createElement("dialog");
  made.className = "ask";
  made.setAttribute("aria-labelledby", "ask-title");
  const title = document.createElement("p");
  title.id = "ask-title";
  title.className = "ask-title";
  const buttons = document.createElement("div");
  buttons.className = "ask-buttons";
  const no = document.createElement("button");
  no.type = "button";
  no.className = "quiet";
  no.textContent = "Leave it";
  no.addEventListener("click", () => made.close("no"));
  const yes = document.createElement("button");
  yes.type = "button";
  yes.addEventListener("click", () => made.close("yes"));
  buttons.append(no, yes);
  made.append(title, buttons);
  document.body.append(made);
  return { made, title, yes };
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  const words = event.submitter?.dataset.confirm ?? form.dataset.confirm;
  if (!words || event.defaultPrevented) return;
  event.preventDefault();
  asked ??= dialog();
  const { made, title, yes } = asked;
  const button = event.submitter;
  title.textContent = words;
  yes.textContent = button?.textContent.trim() || "Do it";
  yes.className = button?.classList.contains("danger") ? "danger" : "main";
  made.returnValue = "no";
  made.addEventListener("close", () => {
    if (made.returnValue !== "yes") return;
    if (button?.name) { // a form that is sent by a script lacks its button
      const field = document.createElement("input");
      Object.assign(field, { type: "hidden", name: button.name, value: button.value });
      form.append(field);
    }
    form.submit();
  }, { once: true });
  made.showModal();
  yes.focus();
});
