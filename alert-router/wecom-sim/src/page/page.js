"use strict";
// Shows new messages by itself; keeps each phone at its end unless somebody has scrolled up.
(() => {
  const atEnd = (chat) => chat.scrollHeight - chat.scrollTop - chat.clientHeight < 40;
  const toEnd = () => document.querySelectorAll(".chat").forEach((chat) => { chat.scrollTop = chat.scrollHeight; });
  let before = null;
  async function refresh() {
    if (document.hidden) return;
    try {
      const text = await (await fetch("/")).text();
      const fresh = new DOMParser().parseFromString(text, "text/html");
      document.getElementById("now").textContent = fresh.getElementById("now").textContent;
      const main = fresh.getElementById("main").innerHTML;
      const first = before === null;
      if (main === before) return;
      before = main;
      if (first && main === document.getElementById("main").innerHTML) return;
      const follow = [...document.querySelectorAll(".chat")].every(atEnd);
      document.getElementById("main").innerHTML = main;
      if (follow) toEnd();
      document.title = "WeCom simulator";
    } catch {
      document.title = "WeCom simulator (stopped)";
    }
  }
  toEnd();
  setInterval(refresh, 1000);
})();
