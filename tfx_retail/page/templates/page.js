"use strict";
(() => {
  const make = (name, text, css) => { const node = document.createElement(name); if (text !== undefined) node.textContent = text; if (css) node.className = css; return node; };
  const drawn = (name, values) => { const node = document.createElementNS("http://www.w3.org/2000/svg", name); for (const [key, value] of Object.entries(values)) node.setAttribute(key, value); return node; };

  function interval(value, low, high) {
    const at = (share) => (4 + share * 76).toFixed(1);
    const svg = drawn("svg", { viewBox: "0 0 84 12", "aria-hidden": "true" });
    svg.append(drawn("line", { class: "track", x1: 4, x2: 80, y1: 6, y2: 6 }));
    svg.append(drawn("line", { class: "whisker", x1: at(low), x2: at(high), y1: 6, y2: 6 }));
    svg.append(drawn("circle", { cx: at(value), cy: 6, r: 3.6 }));
    return svg;
  }

  function cell(kind, [text, sort, low, high]) {
    const node = make("td", undefined, kind);
    if (kind !== "share") { node.textContent = text; if (kind === "change" && sort) node.classList.add(sort < 0 ? "worse" : "better"); return node; }
    node.append(make("span", text));
    if (low !== undefined) { node.append(interval(sort, low, high)); node.title = `${(100 * low).toFixed(1)} to ${(100 * high).toFixed(1)} %`; }
    return node;
  }

  function order(column, down) {
    return (left, right) => {
      const [a, b] = [left[column][1] ?? null, right[column][1] ?? null];
      if (a === null || b === null) return (a === null) - (b === null); // what is not known comes last, either way
      const found = typeof a === "number" ? a - b : String(a).localeCompare(String(b));
      return down ? -found : found;
    };
  }

  function table(box) {
    const data = JSON.parse(box.querySelector("script").textContent);
    if (matchMedia("(max-width: 36rem)").matches) data.page = Math.min(data.page, 10); // a phone shows fewer rows at once
    const body = box.querySelector("tbody"), search = box.querySelector("input"), choice = box.querySelector("select"), heads = [...box.querySelectorAll("thead th")];
    const [back, next] = box.querySelectorAll(".pager button"), place = box.querySelector(".pager span");
    let page = 0, sorted = null, down = true;
    const shown = () => {
      const word = search.value.trim().toLowerCase();
      const rows = data.rows.filter((row) => (!word || row.some(([text]) => text.toLowerCase().includes(word))) && (!choice || !choice.value || row[data.filter][0] === choice.value));
      return sorted === null ? rows : rows.slice().sort(order(sorted, down));
    };
    const draw = () => {
      const rows = shown(), last = Math.max(0, Math.ceil(rows.length / data.page) - 1);
      page = Math.min(page, last);
      const part = rows.slice(page * data.page, (page + 1) * data.page);
      body.replaceChildren(...part.map((row) => { const line = make("tr"); line.append(...row.map((item, column) => cell(data.kinds[column], item))); return line; }));
      if (!rows.length) { const line = make("tr"), nothing = make("td", "No row matches."); nothing.colSpan = data.kinds.length; line.append(nothing); body.append(line); }
      place.textContent = rows.length ? `${page * data.page + 1} to ${page * data.page + part.length} of ${rows.length.toLocaleString("en")} rows` : "0 rows";
      back.disabled = page === 0; next.disabled = page === last; back.hidden = next.hidden = last === 0;
    };
    heads.forEach((head, column) => head.firstElementChild.addEventListener("click", () => {
      down = sorted === column ? !down : data.kinds[column] !== "text";
      if (sorted !== column && data.kinds[column] === "change") down = false; // the biggest loss first
      sorted = column; page = 0;
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      draw();
    }));
    search.addEventListener("input", () => { page = 0; draw(); });
    if (choice) choice.addEventListener("change", () => { page = 0; draw(); });
    back.addEventListener("click", () => { page -= 1; draw(); });
    next.addEventListener("click", () => { page += 1; draw(); });
    box.querySelector(".tools").hidden = box.querySelector(".pager").hidden = data.rows.length < 8;
    draw();
  }

  function gallery(box) {
    const items = [...box.querySelectorAll(".shot")], search = box.querySelector("input"), choice = box.querySelector("select"), count = box.querySelector("output");
    const draw = () => {
      const word = search.value.trim().toLowerCase();
      let seen = 0;
      for (const item of items) {
        const fits = (!choice.value || item.dataset.category === choice.value) && (!word || item.dataset.skus.toLowerCase().includes(word));
        item.hidden = !fits; seen += fits;
      }
      count.textContent = `${seen} of ${items.length}`;
    };
    search.addEventListener("input", draw); choice.addEventListener("change", draw); box.querySelector(".tools").hidden = false; draw();
  }

  function tabs(box) {
    const buttons = [...box.querySelectorAll("[role=tab]")], panels = buttons.map((button) => document.getElementById(button.getAttribute("aria-controls")));
    const choose = (chosen) => buttons.forEach((button, place) => { button.setAttribute("aria-selected", place === chosen); button.tabIndex = place === chosen ? 0 : -1; panels[place].hidden = place !== chosen; });
    buttons.forEach((button, place) => {
      button.addEventListener("click", () => choose(place));
      button.addEventListener("keydown", (event) => {
        const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
        if (step) { const to = (place + step + buttons.length) % buttons.length; choose(to); buttons[to].focus(); }
      });
    });
    box.querySelector(".tabs").hidden = buttons.length < 2; choose(0);
  }

  document.querySelectorAll("[data-table]").forEach(table);
  document.querySelectorAll("[data-gallery]").forEach(gallery);
  document.querySelectorAll("[data-tabs]").forEach(tabs);

  const links = new Map([...document.querySelectorAll(".contents a")].map((link) => [link.hash.slice(1), link]));
  const watch = new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting) { links.forEach((link) => link.removeAttribute("aria-current")); links.get(entry.target.id)?.setAttribute("aria-current", "true"); }
  }, { rootMargin: "-15% 0px -75% 0px" });
  document.querySelectorAll("main > section[id]").forEach((part) => watch.observe(part));
})();
