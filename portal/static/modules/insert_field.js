// Buttons that insert a merge field at the caret of the input that had focus last. A name still to be chosen is selected.
for (const group of document.querySelectorAll("[data-insert-into]")) {
  group.hidden = false;
  const form = group.closest("form");
  let target = document.getElementById(group.dataset.insertInto);
  form.addEventListener("focusin", (event) => {
    if (["field-subject", "field-body"].includes(event.target.id)) target = event.target;
  });
  group.addEventListener("click", (event) => {
    const text = event.target.dataset.field;
    if (!text) return;
    target.focus();
    const start = target.selectionStart;
    target.setRangeText(text, start, target.selectionEnd, "end");
    const placeholder = text.indexOf("field_name");
    if (placeholder >= 0) target.setSelectionRange(start + placeholder, start + placeholder + "field_name".length);
    target.dispatchEvent(new Event("input", { bubbles: true }));
  });
}
