// Buttons that insert a merge field at the caret of the input that had focus last.
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
    target.setRangeText(text, target.selectionStart, target.selectionEnd, "end");
    target.dispatchEvent(new Event("input", { bubbles: true }));
  });
}
