// Fragments do not poll while their page is hidden, because nobody reads it, or while a menu of theirs is open, because
// it would close.
// htmx's own trigger filters need eval, which the content security policy forbids.
document.addEventListener("htmx:before:request", (event) => {
  const trigger = event.target.getAttribute?.("hx-trigger") ?? "";
  const isRead = event.target.querySelector?.(":popover-open");
  if ((document.hidden || isRead) && trigger.startsWith("every ")) event.preventDefault();
});
