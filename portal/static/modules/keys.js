// Keys for people who work without a mouse: / search, ? help, j and k through the rows of a list, Enter opens one.
// They do nothing while somebody types, and leave combinations with Ctrl, Alt or Meta to the browser.
const help = document.getElementById("keys");
const typing = "input, select, textarea, [contenteditable]";
const list = "main tbody tr, main .communication-list > li, main .choices > li";

function move(step) {
  const links = [...document.querySelectorAll(list)].map((row) => row.querySelector("a")).filter(Boolean);
  const current = links.indexOf(document.activeElement);
  links[current < 0 ? (step > 0 ? 0 : links.length - 1) : current + step]?.focus();
}

const actions = {
  "/": () => document.querySelector('main input[type="search"]')?.focus(),
  "?": () => help?.togglePopover(),
  j: () => move(1),
  k: () => move(-1),
};

document.addEventListener("keydown", (event) => {
  const action = actions[event.key];
  if (!action || event.ctrlKey || event.altKey || event.metaKey || event.target.closest(typing)) return;
  if (document.querySelector("dialog[open]")) return;
  event.preventDefault();
  action();
});
