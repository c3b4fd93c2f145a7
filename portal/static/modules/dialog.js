// A link that htmx answers into the page's <dialog> opens it; what is sent from there and answered elsewhere closes it.
// Escape, the Cancel button and focus are the browser's own; without JavaScript the link leads to a plain page.
const dialog = document.getElementById("dialog");
let returnTo = "";
let pressed = null;
let shown = null;

const idOf = (target) => (typeof target === "string" ? target.replace("#", "") : (target?.id ?? ""));

function open(opener) {
  if (!dialog.open) {
    returnTo = opener.id;
    dialog.showModal();
  }
  shown = dialog.firstElementChild;
  dialog.querySelector("[autofocus]")?.focus();
}

function close(focusOn) {
  returnTo = focusOn;
  dialog.close();
}

document.addEventListener("htmx:after:swap", ({ detail: { ctx } }) => {
  if (idOf(ctx.target) === dialog.id) open(ctx.sourceElement);
  else if (dialog.contains(ctx.sourceElement)) close(idOf(ctx.target));
});

document.addEventListener("htmx:error", ({ detail: { ctx } }) => {
  const source = ctx?.sourceElement;
  if (dialog.contains(source)) dialog.querySelector("[data-offline]").hidden = false;
  else if (source?.getAttribute("hx-target") === "#dialog") location.assign(source.href);
});

// The link may have been replaced meanwhile, so it is found again by its id. The browser tells of the closing a moment
// later: whoever opened the dialog again by then keeps it, and what has come for the next opening stays.
dialog.addEventListener("close", () => {
  if (dialog.open || dialog.firstElementChild !== shown) return;
  dialog.replaceChildren();
  const place = document.getElementById(returnTo);
  place?.focus();
  place?.scrollIntoView({ block: "nearest" });
});

// The dialog itself is what lies behind its content. Letting go there after marking words inside is no wish to leave.
dialog.addEventListener("pointerdown", (event) => { pressed = event.target; });
dialog.addEventListener("click", (event) => {
  if (event.target === dialog && pressed === dialog) dialog.close();
});

// A link that looks like a button answers the space bar like one.
document.addEventListener("keydown", (event) => {
  if (event.key !== " " || !event.target.matches?.('a[role="button"]')) return;
  event.preventDefault();
  event.target.click();
});

// Filled before this module had come.
if (dialog.firstElementChild) open(document.activeElement);
