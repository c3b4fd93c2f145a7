// Buttons that insert a merge field at the caret of the input of their language that had focus last. A name still to be
// chosen is selected, and what was selected takes the place of “…”.
for (const group of document.querySelectorAll("[data-insert-into]")) {
  group.hidden = false;
  const form = group.closest("form");
  const body = group.dataset.insertInto;
  let target = document.getElementById(body);
  form.addEventListener("focusin", (event) => {
    if ([body.replace("body", "subject"), body].includes(event.target.id)) target = event.target;
  });
  group.addEventListener("click", (event) => {
    const field = event.target.dataset.field;
    if (!field) return;
    target.focus();
    const start = target.selectionStart;
    const text = field.replace("…", () => target.value.slice(start, target.selectionEnd) || "…");
    target.setRangeText(text, start, target.selectionEnd, "end");
    const placeholder = text.indexOf("field_name");
    if (placeholder >= 0) target.setSelectionRange(start + placeholder, start + placeholder + "field_name".length);
    target.dispatchEvent(new Event("input", { bubbles: true }));
  });
}
