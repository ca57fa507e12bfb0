// Before anything is drawn: the colours that were chosen last time, or the system's.
"use strict";
{
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const show = () => { document.documentElement.dataset.theme = localStorage.getItem("theme") || (dark.matches ? "dark" : "light"); };
  dark.addEventListener("change", show);
  show();
}
