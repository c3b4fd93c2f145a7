// Leaving a form with something typed in it asks first: what was typed would be lost.
const form = document.querySelector("form[data-unsaved]");
let dirty = false;

if (form) {
  form.addEventListener("input", () => { dirty = true; });
  form.addEventListener("submit", () => { dirty = false; });
  window.addEventListener("beforeunload", (event) => {
    if (dirty) event.preventDefault();
  });
}
