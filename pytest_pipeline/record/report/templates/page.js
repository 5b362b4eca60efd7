"use strict";
(() => {
  const SOON = 1000, LATER = 5000;

  // Arrow keys move through the matrix.
  document.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    const cell = event.target instanceof Element && event.target.closest(".matrix td");
    if (!step || !cell) return;
    const rows = [...cell.closest("table").rows];
    let row = rows.indexOf(cell.parentElement), column = cell.cellIndex;
    for (;;) {
      row += step[0];
      column += step[1];
      const next = rows[row] && rows[row].cells[column];
      if (!next || column < 1) return;
      const link = next.querySelector("a.cell");
      if (link) {
        event.preventDefault();
        link.focus();
        return;
      }
    }
  });

  // In a report a cell leads to details that are closed.
  const open = () => {
    const found = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
    if (found && found.tagName === "DETAILS") {
      found.open = true;
      found.querySelector("summary").focus();
    }
  };
  addEventListener("hashchange", open);
  open();

  // The overview of a session that is under way is brought up to date.
  const overview = document.getElementById("overview");
  if (!overview || !("alive" in overview.dataset)) return;
  const news = document.getElementById("news");
  let seen = "", wait = SOON;
  const say = (text) => { if (news.textContent !== text) news.textContent = text; };

  const replace = (text) => {
    const at = document.activeElement && overview.contains(document.activeElement)
      && document.activeElement.getAttribute("href");
    const scrolled = [...overview.querySelectorAll(".scroll, figure")].map((each) => each.scrollLeft);
    overview.innerHTML = text;
    [...overview.querySelectorAll(".scroll, figure")].forEach((each, place) => { each.scrollLeft = scrolled[place] || 0; });
    if (at) overview.querySelector(`a[href="${CSS.escape(at)}"]`)?.focus();
  };

  const look = async () => {
    let alive = true;
    try {
      const headers = seen ? { "If-None-Match": seen } : {};
      const answer = await fetch(overview.dataset.source, { headers, cache: "no-store" });
      if (answer.status === 200) {
        seen = answer.headers.get("ETag") || "";
        replace(await answer.text());
        alive = !!overview.querySelector(".verdict[data-alive]");
        say(alive ? "" : "The session has ended.");
        wait = SOON;
      } else if (answer.status === 304) {
        say("");
        wait = SOON;
      } else {
        say(answer.status === 401 ? "The server wants its token again, as after a restart: reload the page."
          : `The server answered ${answer.status}. Reload the page to see more.`);
        alive = answer.status >= 429;
        wait = LATER;
      }
    } catch {
      say("The server does not answer; what you see may be old.");
      wait = LATER;
    }
    if (alive) setTimeout(look, document.hidden ? LATER : wait);
  };
  setTimeout(look, wait);
})();
