// A dry run tells of the form as it was sent: once something in it is changed, it is said so.
document.addEventListener("input", (event) => {
  const form = event.target.closest?.("form[data-start]");
  const note = form?.querySelector("[data-planned-note]");
  if (!note) return;
  note.textContent = "Nothing has been started. You have changed the form since this dry run.";
  form.querySelector("[data-run-words]").textContent = "Run it";
});
