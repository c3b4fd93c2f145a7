// Keeps every element with data-live fresh, once a second, while the page is import_preview at.
const POLL_MS = 1000;
const news = document.getElementById("news");

function localTimes(root) {
  const today = new Date().toDateString();
  for (const element of root.querySelectorAll("time")) {
    const at = new Date(element.dateTime);
    const clock = { hour: "2-digit", minute: "2-digit" };
    const day = at.toDateString() === today ? {} : { day: "numeric", month: "short" };
    element.textContent = at.toLocaleString([], { ...day, ...clock });
    element.title = at.toLocaleString([], { dateStyle: "long", timeStyle: "long" });
  }
}

function newest(root) {
  return root.querySelector("[data-newest]")?.dataset ?? {};
}

// A link that has the focus keeps it when its region is drawn anew.
function replace(region, html) {
  const focused = region.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
  const before = newest(region).newest;
  region.replaceChildren(...new DOMParser().parseFromString(html, "text/html").body.childNodes);
  localTimes(region);
  if (focused) region.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  const after = newest(region);
  if (after.newest && after.newest !== before) news.textContent = after.news;
}

function follow(region) {
  let shown = null;
  let timer = 0;

  async function look() {
    clearTimeout(timer);
    if (document.hidden) return;
    try {
      const response = await fetch(region.dataset.live, { cache: "no-cache" });
      const html = response.ok ? await response.text() : shown;
      if (shown !== null && html !== shown) replace(region, html);
      shown = html;
      region.removeAttribute("data-lost");
    } catch {
      region.dataset.lost = "The simulator does not answer. Trying again.";
    }
    timer = setTimeout(look, POLL_MS);
  }

  document.addEventListener("visibilitychange", look);
  look();
}

localTimes(document);
document.querySelectorAll("[data-live]").forEach(follow);
