// Filtering, and links that open what they lead to. Without it the page is whole: nothing is hidden, links still go.
"use strict";
(() => {
  const form = document.getElementById("filter");
  const { text, theme, state } = form.elements;
  const output = form.querySelector("output");
  const themes = [...document.querySelectorAll("details.theme")];
  const rows = themes.flatMap((group) =>
    [...group.querySelectorAll("tbody[id]")].map((body) => ({
      body,
      group,
      states: body.dataset.state.split(" "),
      words: body.textContent.toLowerCase(),
    })),
  );
  const opened = new Map(themes.map((group) => [group, group.open]));
  const PREFIX = "#filter:";

  function wanted() {
    return { text: text.value.trim().toLowerCase(), theme: theme.value, state: state.value };
  }

  function apply() {
    const want = wanted();
    const active = Boolean(want.text || want.theme || want.state);
    const terms = want.text.split(/\s+/).filter(Boolean);
    let shown = 0;
    const left = new Map(themes.map((group) => [group, 0]));
    for (const row of rows) {
      const fits =
        (!want.theme || row.group.dataset.theme === want.theme) &&
        (!want.state || row.states.includes(want.state)) &&
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
})();
