// The browser asks before it leaves a form with unsaved input.
const form = document.querySelector("form[data-unsaved]");
// The server gave back input that it did not save.
let dirty = form?.dataset.unsaved === "kept";

if (form) {
  // A field outside the form, with form="…", belongs to it too.
  document.addEventListener("input", ({ target }) => { if (target.form === form && target.type !== "search") dirty = true; });
  form.addEventListener("submit", () => { dirty = false; });
  window.addEventListener("beforeunload", (event) => {
    if (dirty) event.preventDefault();
  });
}
