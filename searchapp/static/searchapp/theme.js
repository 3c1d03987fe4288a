// Sets the chosen theme before the first paint; app.js has the button. Empty: as the system says.
try {
  const theme = localStorage.getItem("theme");
  if (theme) document.documentElement.dataset.theme = theme;
} catch {
  // Storage is blocked: the system's theme stays.
}
