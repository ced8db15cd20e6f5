// The theme: as the system has it, or light, or dark, as this browser was told. Read before the page is shown.
(() => {
  const KEY = "pinstripe.theme";
  const ORDER = ["system", "light", "dark"];
  const root = document.documentElement;

  function stored() {
    try {
      const theme = localStorage.getItem(KEY);
      return ORDER.includes(theme) ? theme : "system";
    } catch {
      return "system"; // it may not be kept here
    }
  }

  function use(theme) {
    if (theme === "system") delete root.dataset.theme;
    else root.dataset.theme = theme;
    const button = document.querySelector("[data-theme-toggle]");
    if (!button) return;
    const words = theme === "system" ? "as the system has it" : theme;
    button.hidden = false;
    button.title = `Theme: ${words}`;
    button.setAttribute("aria-label", `Theme: ${words}`);
  }

  use(stored());
  document.addEventListener("DOMContentLoaded", () => {
    use(stored());
    const button = document.querySelector("[data-theme-toggle]");
    button?.addEventListener("click", () => {
      const theme = ORDER[(ORDER.indexOf(stored()) + 1) % ORDER.length];
      try {
        localStorage.setItem(KEY, theme);
      } catch {
        // then it is so until the next page
      }
      use(theme);
    });
  });
})();
