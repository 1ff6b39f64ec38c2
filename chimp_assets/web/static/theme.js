// Sets the chosen theme before the first paint. A classic script in the head, because modules run after it.
(() => {
  const theme = localStorage.getItem("theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
})();
