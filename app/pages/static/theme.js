// Runs before the first paint, so that no page shows in another theme first, or with what needs scripts missing.
{
  const root = document.documentElement;
  root.classList.add("has-script");
  let theme = null;
  try { theme = localStorage.getItem("theme"); } catch { /* a browser that keeps nothing */ }
  if (theme === "light" || theme === "dark") root.dataset.theme = theme;
}
