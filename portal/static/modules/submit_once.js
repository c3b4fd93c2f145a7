// A second click does not submit a form again while it is being sent. The server rejects duplicates too.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || form.method !== "post") return;
  if (form.dataset.sent) {
    event.preventDefault();
    return;
  }
  form.dataset.sent = "yes";
  event.submitter?.setAttribute("aria-busy", "true");
  // Back would repeat the request that led to this page, which browsers refuse: it leads to the result instead.
  if (form.dataset.backUrl && !event.submitter?.hasAttribute("formaction")) history.replaceState(null, "", form.dataset.backUrl);
});

// An error at a field goes when the field is corrected, and does not stand beside what is right by now.
document.addEventListener("input", ({ target }) => {
  if (target.getAttribute?.("aria-invalid") !== "true") return;
  target.removeAttribute("aria-invalid");
  document.getElementById(`${target.id}-error`)?.setAttribute("hidden", "");
});

// The Back button may restore this page from the cache, with its forms still marked as sent.
addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  for (const form of document.querySelectorAll("form[data-sent]")) {
    delete form.dataset.sent;
    for (const button of form.querySelectorAll("[aria-busy]")) button.removeAttribute("aria-busy");
  }
});
