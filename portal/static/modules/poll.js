// Fragments do not poll while their page is hidden, because nobody reads it.
// htmx's own trigger filters need eval, which the content security policy forbids.
document.addEventListener("htmx:before:request", (event) => {
  const trigger = event.target.getAttribute?.("hx-trigger") ?? "";
  if (document.hidden && trigger.startsWith("every ")) event.preventDefault();
});
