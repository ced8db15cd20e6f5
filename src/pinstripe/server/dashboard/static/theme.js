// The theme: as the system has it, or light, or dark, as this browser was told. Read before the page is shown, as is
// what there is to know of a narrow screen.
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
    // On a phone what narrows a list is folded, as long as it doesn't; without scripts it is open.
    if (matchMedia("(max-width: 46rem)").matches) {
      for (const fold of document.querySelectorAll("details[data-fold]")) fold.open = false;
      const here = document.querySelector(".places [aria-current]");
      const places = here?.closest("ul");
      if (places) places.scrollLeft = here.offsetLeft - (places.clientWidth - here.offsetWidth) / 2;
    }
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
