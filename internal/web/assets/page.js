// Keeps the status page fresh. The page is whole without it.
"use strict";

const every = 10000; // milliseconds between refreshes
const patience = 8000; // milliseconds to wait for an answer

if (document.body.dataset.page === "notice") {
  // The address holds LinkedIn's code: it has done its work.
  history.replaceState(null, "", location.pathname);
}
if (document.body.dataset.page === "status") {
  keepFresh();
}

function keepFresh() {
  const news = document.getElementById("news");
  const link = document.getElementById("refresh");
  const pause = document.createElement("button");
  let paused = false;
  let timer = 0;
  let running = false;

  const label = () => { pause.textContent = paused ? "Resume updates" : "Pause updates"; };
  label();
  link.before(pause);
  link.addEventListener("click", (event) => {
    event.preventDefault();
    refresh();
  });
  pause.addEventListener("click", () => {
    paused = !paused;
    label();
    if (!paused) refresh();
  });
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && !paused) refresh();
  });
  timer = setTimeout(tick, every);

  function tick() {
    if (paused || document.hidden) {
      timer = setTimeout(tick, every);
      return;
    }
    refresh();
  }

  async function refresh() {
    if (running) return;
    running = true;
    const pausedBefore = paused;
    clearTimeout(timer);
    try {
      const answer = await fetch("./", { cache: "no-store", signal: AbortSignal.timeout(patience) });
      if (!answer.ok) throw new Error(String(answer.status));
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (fresh.body.dataset.page !== "status") {
        location.reload(); // the session has ended
        return;
      }
      if (paused && !pausedBefore) return; // the reader wants to see this page
      show(fresh);
      tell("");
    } catch {
      tell("leadstream does not answer. What stands here may be out of date; it is tried again by itself.");
    } finally {
      running = false;
      timer = setTimeout(tick, every);
    }
  }

  // tell writes to the live region only what is new, so that a screen reader
  // is not made to repeat itself.
  function tell(text) {
    if (news.textContent !== text) news.textContent = text;
  }
}

// show puts the fresh page in place and leaves the reader where she was: the
// focus, what was unfolded, and a text being selected.
function show(fresh) {
  const selection = getSelection();
  const main = document.querySelector("main");
  if (!selection.isCollapsed && main.contains(selection.anchorNode)) return;
  const active = document.activeElement;
  const focus = main.contains(active) ? path(active, main) : null;
  const unfolded = [...main.querySelectorAll("details[open]")].map((d) => d.id);
  const next = document.importNode(fresh.querySelector("main"), true);
  for (const id of unfolded) {
    const d = next.querySelector("#" + CSS.escape(id));
    if (d) d.open = true;
  }
  const before = problems(main);
  main.replaceWith(next);
  document.getElementById("updated").replaceWith(document.importNode(fresh.getElementById("updated"), true));
  document.title = fresh.title;
  if (focus) find(focus, next)?.focus({ preventScroll: true });
  const after = problems(next);
  if (after !== before) document.getElementById("change").textContent = after;
}

// problems is what the banner's heading says.
function problems(main) {
  return main.querySelector("#h-now").textContent.trim();
}

// path tells an element by its id, else by its kind and target.
function path(element, main) {
  if (element.id) return "#" + CSS.escape(element.id);
  if (element.tagName === "SUMMARY") return "#" + CSS.escape(element.parentElement.id) + " > summary";
  const href = element.getAttribute("href");
  return href ? `a[href="${CSS.escape(href)}"]` : null;
}

function find(selector, main) {
  return selector ? main.querySelector(selector) : null;
}
