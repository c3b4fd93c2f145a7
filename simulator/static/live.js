// Updates every element with data-live once a second while the page is visible.
const POLL_MS = 1000;
const announcements = document.getElementById("announcements");

function showLocalTimes(root) {
  const today = new Date().toDateString();
  for (const element of root.querySelectorAll("time")) {
    const at = new Date(element.dateTime);
    const clock = { hour: "2-digit", minute: "2-digit" };
    const day = at.toDateString() === today ? {} : { day: "numeric", month: "short" };
    element.textContent = at.toLocaleString([], { ...day, ...clock });
    element.title = at.toLocaleString([], { dateStyle: "long", timeStyle: "long" });
  }
}

function newestItem(root) {
  return root.querySelector("[data-newest]")?.dataset ?? {};
}

// A focused link keeps the focus when its region is replaced.
function replace(region, html) {
  const focused = region.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
  const before = newestItem(region).newest;
  region.replaceChildren(...new DOMParser().parseFromString(html, "text/html").body.childNodes);
  showLocalTimes(region);
  if (focused) region.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  const after = newestItem(region);
  if (after.newest && after.newest !== before) announcements.textContent = after.announcement;
}

function startPolling(region) {
  let current = null;
  let timer = 0;

  async function poll() {
    clearTimeout(timer);
    if (document.hidden) return;
    try {
      const response = await fetch(region.dataset.live, { cache: "no-cache" });
      const html = response.ok ? await response.text() : current;
      if (html !== current) replace(region, html); // at first too: something may have come since the page was made
      current = html;
      region.removeAttribute("data-connection-error");
    } catch {
      region.dataset.connectionError = "The simulator does not respond. Trying again.";
    }
    timer = setTimeout(poll, POLL_MS);
  }

  document.addEventListener("visibilitychange", poll);
  poll();
}

showLocalTimes(document);
document.querySelectorAll("[data-live]").forEach(startPolling);
