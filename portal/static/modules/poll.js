// Fragments do not poll while their page is hidden, because nobody reads it, while a menu of theirs is open, because it
// would close, or once nobody is signed in.
// htmx's own trigger filters need eval, which the content security policy forbids.
let signedOut = false;

document.addEventListener("htmx:after:request", ({ detail }) => { signedOut ||= detail.ctx.response.status === 401; });

document.addEventListener("htmx:before:request", (event) => {
  const trigger = event.target.getAttribute?.("hx-trigger") ?? "";
  const isRead = event.target.querySelector?.(":popover-open");
  if ((document.hidden || isRead || signedOut) && trigger.startsWith("every ")) event.preventDefault();
});
