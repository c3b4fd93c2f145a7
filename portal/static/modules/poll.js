// A fragment that polls waits while its page is hidden: nobody is reading it.
// This stands in for a trigger filter, which would need eval and so a weaker content security policy.
document.addEventListener("htmx:before:request", (event) => {
  const trigger = event.target.getAttribute?.("hx-trigger") ?? "";
  if (document.hidden && trigger.startsWith("every ")) event.preventDefault();
});
