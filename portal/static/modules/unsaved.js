// The browser asks before it leaves a form with unsaved input.
const form = document.querySelector("form[data-unsaved]");
let dirty = false;

if (form) {
  form.addEventListener("input", () => { dirty = true; });
  form.addEventListener("submit", () => { dirty = false; });
  window.addEventListener("beforeunload", (event) => {
    if (dirty) event.preventDefault();
  });
}
