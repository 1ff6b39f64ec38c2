// Belongs here: the arrow keys lead to the window before and after; choosing one shows it.
// Does not belong here: windows and drawings (the server makes them).

const KEYS = { ArrowLeft: "prev", ArrowRight: "next" };

addEventListener("keydown", (event) => {
  if (event.target.closest("input, select, textarea, .scroll") || event.ctrlKey || event.metaKey || event.altKey) return;
  const link = KEYS[event.key] && document.querySelector(`a[rel=${KEYS[event.key]}]`);
  if (!link) return;
  event.preventDefault();
  location.assign(link.href);
});

const form = document.querySelector("form[data-windows]");
form?.elements.namedItem("at").addEventListener("change", () => form.requestSubmit());
