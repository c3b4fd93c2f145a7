// The frame with the email follows what is typed. Each update loads into a frame of its own, which takes the place of
// the last one when it is ready: so nothing flickers, and Back does not step through the updates.
const form = document.getElementById("editor");
let frame = document.querySelector("iframe[data-email-action]");

function load(next) {
  const { action, target } = form;
  form.action = next.dataset.emailAction;
  form.target = next.name;
  HTMLFormElement.prototype.submit.call(form); // Without validation, and without an event: nothing is saved.
  form.action = action;
  form.target = target;
}

function refresh() {
  const next = frame.cloneNode();
  next.removeAttribute("src");
  next.name = `email-${crypto.getRandomValues(new Uint32Array(1))[0]}`;
  next.hidden = true;
  frame.after(next);
  next.addEventListener("load", () => {
    next.hidden = false;
    frame.remove();
    frame = next;
  }, { once: true });
  load(next);
}

document.addEventListener("htmx:after:swap", ({ detail: { ctx } }) => {
  if (String(ctx.target?.id ?? ctx.target).replace("#", "") === "preview") refresh();
});
document.addEventListener("change", ({ target }) => { if (target.name === "email_view") refresh(); });
if (form.dataset.unsaved === "kept") refresh();
