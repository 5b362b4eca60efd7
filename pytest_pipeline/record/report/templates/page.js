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

  // The overview of a session is brought up to date while it is under way, or may be taken up again.
  const overview = document.getElementById("overview");
  const watched = () => overview.querySelector(".verdict").dataset.watch;
  if (!overview || !watched()) return;
  const news = document.getElementById("news");
  let seen = "", wasAlive = watched() === "alive", wait = wasAlive ? SOON : LATER;
  const say = (text) => { if (news.textContent !== text) news.textContent = text; };

  const replace = (text) => {
    const at = document.activeElement && overview.contains(document.activeElement)
      && document.activeElement.getAttribute("href");
    const scrolled = [...overview.querySelectorAll(".scroll, figure")].map((each) => each.scrollLeft);
    overview.innerHTML = text;
    [...overview.querySelectorAll(".scroll, figure")].forEach((each, place) => { each.scrollLeft = scrolled[place] || 0; });
    if (at) overview.querySelector(`a[href="${CSS.escape(at)}"]`)?.focus();
  };

  const shown = () => {
    const how = watched();
    wasAlive ||= how === "alive";
    say(how === "alive" || !wasAlive ? "" : how ? "The session was left unfinished." : "The session has ended.");
    wait = how === "alive" ? SOON : LATER;
    return !!how;
  };

  const look = async () => {
    let goOn = true;
    try {
      const headers = seen ? { "If-None-Match": seen } : {};
      const answer = await fetch(overview.dataset.source, { headers, cache: "no-store" });
      if (answer.status === 200) {
        seen = answer.headers.get("ETag") || "";
        replace(await answer.text());
        goOn = shown();
      } else if (answer.status === 304) {
        goOn = shown();
      } else {
        say(answer.status === 401 ? "The server wants its token again, as after a restart: reload the page."
          : `The server answered ${answer.status}. Reload the page to see more.`);
        goOn = answer.status >= 429;
        wait = LATER;
      }
    } catch {
      say("The server does not answer; what you see may be old.");
      wait = LATER;
    }
    if (goOn) setTimeout(look, document.hidden ? LATER : wait);
  };
  setTimeout(look, wait);
})();
