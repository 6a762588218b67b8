{% include "evidence.js" %}
// Filtering, and links that open what they lead to. Without it the page is whole: nothing is hidden, links still go.
(() => {
  const form = document.getElementById("filter");
  const { text, theme, state, differs, sort } = form.elements;
  const output = form.querySelector("output");
  const themes = [...document.querySelectorAll("details.theme")];
  const rows = themes.flatMap((group) =>
    [...group.querySelectorAll("tbody[id]")].map((body, place) => ({
      body,
      group,
      place,
      table: body.parentElement,
      states: body.dataset.state.split(" "),
      words: body.textContent.toLowerCase(),
    })),
  );
  const opened = new Map(themes.map((group) => [group, group.open]));
  const PREFIX = "#filter:";
  const ALIKE = ["identical", "met", "unjudged"];
  const WORST = ["unexplained", "broken", "missing", "uncompared", "explained", "excused", "identical", "met"];
  const rank = (row) => Math.min(...row.states.map((word) => (WORST.indexOf(word) + WORST.length + 1) % (WORST.length + 1)));
  let sorted = "";

  function wanted() {
    const only = differs.checked ? "yes" : "";
    return { text: text.value.trim().toLowerCase(), theme: theme.value, state: state.value, differs: only, sort: sort.value };
  }

  function order(by) {
    if (by === sorted) return;
    sorted = by;
    const sign = (row) => (by ? rank(row) : 0);
    for (const row of [...rows].sort((a, b) => sign(a) - sign(b) || a.place - b.place)) row.table.append(row.body);
  }

  async function expand(row) {
    const built = row.querySelector(".observed") ? null : await evidence.view(row.id);
    const view = row.querySelector(".observed") ?? built;
    if (view !== built) return view;
    const close = document.createElement("button");
    close.type = "button";
    close.textContent = "Close";
    const cell = document.createElement("td");
    cell.colSpan = row.rows[0].cells.length;
    cell.append(view);
    view.prepend(close);
    const line = document.createElement("tr");
    line.className = "detail";
    line.append(cell);
    row.append(line);
    const gone = () => {
      line.remove();
      row.querySelector("th a").focus();
    };
    close.addEventListener("click", gone);
    view.addEventListener("keydown", (event) => event.key === "Escape" && gone());
    return view;
  }

  function apply() {
    const want = wanted();
    const active = Boolean(want.text || want.theme || want.state || want.differs);
    order(want.sort);
    const terms = want.text.split(/\s+/).filter(Boolean);
    let shown = 0;
    const left = new Map(themes.map((group) => [group, 0]));
    for (const row of rows) {
      const fits =
        (!want.theme || row.group.dataset.theme === want.theme) &&
        (!want.state || row.states.includes(want.state)) &&
        (!want.differs || !row.states.every((word) => ALIKE.includes(word))) &&
        terms.every((term) => row.words.includes(term));
      row.body.hidden = !fits;
      if (fits) {
        shown += 1;
        left.set(row.group, left.get(row.group) + 1);
      }
    }
    for (const [group, count] of left) {
      group.hidden = count === 0 && active;
      group.open = active ? count > 0 : opened.get(group);
    }
    form.classList.toggle("active", active);
    output.textContent = `${shown} of ${rows.length} scenarios`;
  }

  function remember() {
    const want = new URLSearchParams(Object.entries(wanted()).filter(([, value]) => value)).toString();
    try {
      history.replaceState(null, "", want ? PREFIX + want : "#scenarios");
    } catch {
      // Some viewers forbid it; the filter works all the same.
    }
  }

  function follow() {
    if (location.hash.startsWith(PREFIX)) {
      const want = new URLSearchParams(location.hash.slice(PREFIX.length));
      text.value = want.get("text") ?? "";
      theme.value = want.get("theme") ?? "";
      state.value = want.get("state") ?? "";
      differs.checked = want.has("differs");
      sort.value = want.get("sort") ?? "";
      apply();
      document.getElementById("scenarios").scrollIntoView();
      return;
    }
    let name = location.hash.slice(1);
    try {
      name = decodeURIComponent(name);
    } catch {
      // Not encoded, then.
    }
    const target = name && document.getElementById(name);
    if (!target) return;
    if (target.closest("[hidden]")) {
      form.reset();
      apply();
    }
    for (let at = target.parentElement?.closest("details"); at; at = at.parentElement?.closest("details")) {
      at.open = true;
    }
    const own = target.matches("tbody") ? target.querySelector("details") : null;
    if (own) own.open = true;
    if (target.matches("tbody") && evidence.has(target.id)) expand(target).then((view) => view.focus({ preventScroll: true }));
    target.scrollIntoView();
  }

  for (const link of document.querySelectorAll("a[data-filter]")) {
    link.href = PREFIX + link.dataset.filter;
  }
  for (const group of themes) {
    group.addEventListener("toggle", () => {
      if (!form.classList.contains("active")) opened.set(group, group.open);
    });
  }
  for (const row of rows) {
    // A second click on the same link changes no address, and opens all the same.
    row.body.querySelector("th a").addEventListener("click", () => location.hash === `#${row.body.id}` && follow());
  }
  addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.target.matches("input, select, textarea")) return;
    event.preventDefault();
    text.focus();
  });
  form.addEventListener("input", () => {
    apply();
    remember();
  });
  form.addEventListener("reset", () =>
    setTimeout(() => {
      apply();
      remember();
    }),
  );
  form.addEventListener("submit", (event) => event.preventDefault());
  addEventListener("hashchange", follow);

  let closed = [];
  addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details:not([open]):not(.legend)")].filter((d) => !d.closest("[hidden]"));
    for (const details of closed) details.open = true;
  });
  addEventListener("afterprint", () => {
    for (const details of closed) details.open = false;
  });

  form.hidden = false;
  apply();
  follow();
  // A browser that has gone to the fragment moves the focus there, after the page is whole.
  addEventListener("load", () => setTimeout(follow));
})();
