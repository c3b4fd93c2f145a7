// The way back to a list keeps its filters and order: the list notes them for this tab, and breadcrumbs to it add them.
const noted = (path) => `filters:${path}`;

// After signing out, the next person must not find them.
let isSigningOut = false;
document.addEventListener("submit", ({ target }) => { isSigningOut ||= new URL(target.action).pathname === "/SignOut"; });

if (document.querySelector("form.filters, [aria-sort]")) {
  addEventListener("pagehide", () => { if (!isSigningOut) sessionStorage.setItem(noted(location.pathname), location.search); });
}
for (const link of document.querySelectorAll(".breadcrumbs a")) {
  if (!link.search) link.search = sessionStorage.getItem(noted(link.pathname)) ?? "";
}
