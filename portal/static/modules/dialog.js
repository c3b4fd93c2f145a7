// A link that htmx loads into the page's <dialog> opens it; a request from the dialog with a target outside closes it.
// Escape, the Cancel button and focus are left to the browser. Without JavaScript, the link leads to a plain page.
const dialog = document.getElementById("dialog");
let focusId = "";
let pressedElement = null;
let openContent = null;

const idOf = (target) => (typeof target === "string" ? target.replace("#", "") : (target?.id ?? ""));

function open(opener) {
  if (!dialog.open) {
    focusId = opener.id;
    dialog.showModal();
  }
  openContent = dialog.firstElementChild;
  dialog.querySelector("[autofocus]")?.focus();
}

function close(nextFocusId) {
  focusId = nextFocusId;
  dialog.close();
}

document.addEventListener("htmx:after:swap", ({ detail: { ctx } }) => {
  if (idOf(ctx.target) === dialog.id) open(ctx.sourceElement);
  else if (dialog.contains(ctx.sourceElement)) {
    document.getElementById("notice")?.replaceChildren(); // It told about the step before this one.
    close(idOf(ctx.target));
  }
});

document.addEventListener("htmx:error", ({ detail: { ctx } }) => {
  const source = ctx?.sourceElement;
  if (dialog.contains(source)) dialog.querySelector("[data-offline]").hidden = false;
  else if (source?.getAttribute("hx-target") === "#dialog") location.assign(source.href);
});

// The link may have been replaced in the meantime, so it is looked up by its id. The close event comes a moment late:
// if the dialog is open again by then, or has new content, it is left alone.
dialog.addEventListener("close", () => {
  if (dialog.open || dialog.firstElementChild !== openContent) return;
  dialog.replaceChildren();
  const element = document.getElementById(focusId);
  element?.focus();
  element?.scrollIntoView({ block: "nearest" });
});

// A click on the backdrop has the dialog itself as its target. Releasing there after selecting text does not close it.
dialog.addEventListener("pointerdown", (event) => { pressedElement = event.target; });
dialog.addEventListener("click", (event) => {
  if (event.target === dialog && pressedElement === dialog) dialog.close();
});

// A link with the role of a button reacts to the space bar like one.
document.addEventListener("keydown", (event) => {
  if (event.key !== " " || !event.target.matches?.('a[role="button"]')) return;
  event.preventDefault();
  event.target.click();
});

// The content arrived before this module was loaded.
if (dialog.firstElementChild) open(document.activeElement);
