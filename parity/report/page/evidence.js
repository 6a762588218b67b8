// A scenario's evidence, built when it is opened. Texts become text nodes alone, so none of them can be markup.
"use strict";
const evidence = (() => {
  const LARGEST = 250000;

  function make(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  }

  // Pairs of indexes, null where one side has nothing: the longest common subsequence of two lists of texts.
  function aligned(left, right) {
    let start = 0;
    while (start < left.length && start < right.length && left[start] === right[start]) start += 1;
    let ends = 0;
    const most = Math.min(left.length, right.length) - start;
    while (ends < most && left[left.length - 1 - ends] === right[right.length - 1 - ends]) ends += 1;
    const a = left.slice(start, left.length - ends);
    const b = right.slice(start, right.length - ends);
    const pairs = left.slice(0, start).map((_, index) => [index, index]);
    let i = 0;
    let j = 0;
    if (a.length * b.length <= LARGEST) {
      const wide = b.length + 1;
      const best = new Uint32Array((a.length + 1) * wide);
      for (let x = a.length - 1; x >= 0; x -= 1) {
        for (let y = b.length - 1; y >= 0; y -= 1) {
          best[x * wide + y] =
            a[x] === b[y] ? best[(x + 1) * wide + y + 1] + 1 : Math.max(best[(x + 1) * wide + y], best[x * wide + y + 1]);
        }
      }
      while (i < a.length && j < b.length) {
        if (a[i] === b[j]) pairs.push([start + i++, start + j++]);
        else if (best[(i + 1) * wide + j] >= best[i * wide + j + 1]) pairs.push([start + i++, null]);
        else pairs.push([null, start + j++]);
      }
    }
    while (i < a.length) pairs.push([start + i++, null]);
    while (j < b.length) pairs.push([null, start + j++]);
    for (let k = ends; k > 0; k -= 1) pairs.push([left.length - k, right.length - k]);
    return pairs;
  }

  // The words of `text`, those marked that `other` doesn't have.
  function words(text, other) {
    const [own, theirs] = [text, other].map((one) => one.match(/\w+|\s+|[^\w\s]/g) ?? []);
    const pieces = [];
    let last = null;
    for (const [mine, yours] of aligned(own, theirs)) {
      if (mine === null) continue;
      const marked = yours === null;
      if (last?.marked === marked) last.text += own[mine];
      else pieces.push((last = { marked, text: own[mine] }));
    }
    return pieces.map((piece) => (piece.marked ? make("mark", {}, piece.text) : piece.text));
  }

  function step(key) {
    if (typeof key === "number") return `[${key}]`;
    if (/^[A-Za-z_][A-Za-z0-9_]*$/.test(key)) return `.${key}`;
    const escaped = key.replace(/[\\']/g, "\\$&").replaceAll("\n", "\\n").replaceAll("\r", "\\r").replaceAll("\t", "\\t");
    return `['${escaped}']`;
  }

  const same = (left, right) => JSON.stringify(left) === JSON.stringify(right);
  const plain = (value) => value !== null && typeof value === "object";

  // A value as lines of JSON. `other` is what stands at the same path on the other side: {value}, or null for nothing.
  function lines(value, path, other, masked, out, indent = "") {
    if (masked.has(path)) {
      const { was, rule } = masked.get(path);
      const put = make("ins", {}, JSON.stringify(value));
      out.push(make("del", { title: `masked by ${rule}` }, JSON.stringify(was)), " ", put);
    } else if (plain(value) && Object.keys(value).length) {
      const list = Array.isArray(value);
      const both = other && plain(other.value) && Array.isArray(other.value) === list;
      out.push(list ? "[\n" : "{\n");
      const keys = Object.keys(value);
      keys.forEach((key, index) => {
        const beside = !other ? other : both && key in other.value ? { value: other.value[key] } : null;
        out.push(`${indent}  ${list ? "" : `${JSON.stringify(key)}: `}`);
        const inner = [];
        lines(value[key], path + step(list ? index : key), beside ?? undefined, masked, inner, `${indent}  `);
        out.push(...(beside === null ? [make("mark", {}, ...inner)] : inner));
        out.push(index + 1 < keys.length ? ",\n" : "\n");
      });
      out.push(`${indent}${list ? "]" : "}"}`);
    } else if (other && !same(value, other.value)) {
      const text = JSON.stringify(value);
      const strings = typeof value === "string" && typeof other.value === "string";
      out.push(...(strings ? words(text, JSON.stringify(other.value)) : [make("mark", {}, text)]));
    } else {
      out.push(JSON.stringify(value));
    }
  }

  function shown(label, value, { path = "$", other, masked = new Map(), without = [] } = {}) {
    const kept = plain(value) && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).filter(([key]) => !without.includes(key)))
      : value;
    const out = [];
    if (value === undefined) out.push(make("i", {}, "nothing there"));
    else lines(kept, path, other, masked, out);
    const pre = make("pre", { tabindex: "0", role: "group", "aria-label": label }, ...out);
    return make("div", {}, make("dt", {}, make("b", {}, label)), make("dd", {}, pre));
  }

  const box = (...children) => make("dl", { class: "sides" }, ...children);

  // Who showed the same is shown once: [{names, observation, masked}].
  function sidesOf(run) {
    const sides = [];
    for (const target of run.targets) {
      const side = run.sides[target];
      if (!side) continue;
      const found = sides.find((one) => one.names[0] === side.same_as);
      if (found) found.names.push(target);
      else {
        const masked = new Map(side.masked.map((one) => [one.path, one]));
        sides.push({ names: [target], observation: side.observation ?? {}, masked });
      }
    }
    return sides;
  }

  const named = (side) => (side.names.length > 1 ? `${side.names.join(" and ")}, the same` : side.names[0]);

  function besides(sides, pick, path, without) {
    const values = sides.map((side) => pick(side.observation));
    return sides.map((side, index) => {
      const other = sides.length > 1 ? values[index ? 0 : 1] : undefined;
      const beside = sides.length > 1 ? { value: other } : undefined;
      return shown(named(side), values[index], { path, other: beside, masked: side.masked, without });
    });
  }

  function frames(sides, number) {
    const lanes = sides.map((side) => side.observation.exchanges?.[number]?.response?.stream?.frames ?? []);
    if (!lanes.some((lane) => lane.length)) return [];
    const texts = lanes.map((lane) => lane.map((frame) => JSON.stringify(frame)));
    let rows = texts[0].map((_, index) => [index]);
    if (sides.length > 1) rows = aligned(texts[0], texts[1]);
    const body = rows.map((row, index) => {
      const differs = row.length > 1 && (row[0] === null || row[1] === null);
      const cells = row.map((at, lane) => {
        if (at === null) return make("td", { class: "gap" }, make("i", {}, "no such frame"));
        const { event, data } = lanes[lane][at];
        const text = typeof data === "string" ? data : JSON.stringify(data);
        return make("td", {}, event && event !== "message" ? make("b", {}, `${event} `) : "", make("code", {}, text ?? ""));
      });
      return make("tr", differs ? { class: "differs" } : {}, make("th", { scope: "row" }, String(index + 1)), ...cells);
    });
    const head = make("tr", {}, make("th", { scope: "col" }, "frame"), ...sides.map((side) => make("th", { scope: "col" }, named(side))));
    const table = make("table", { class: "frames" }, make("thead", {}, head), make("tbody", {}, ...body));
    const label = `Frames of answer ${number + 1}, in the order of their arrival`;
    return [make("h6", {}, label), make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label }, table)];
  }

  function exchange(sides, number, script) {
    const path = `$.exchanges[${number}]`;
    const found = sides.map((side) => side.observation.exchanges?.[number]).find(Boolean) ?? {};
    const asked = script.client?.[number];
    const answers = besides(sides, (seen) => {
      const one = seen.exchanges?.[number];
      if (!one) return undefined;
      const { method: _method, path: _path, ...rest } = one;
      if (!rest.response?.stream) return rest;
      const { frames: _frames, ...stream } = rest.response.stream;
      return { ...rest, response: { ...rest.response, stream } };
    }, path);
    const line = [found.method, found.path].filter(Boolean).join(" ");
    return [
      make("h5", {}, `Answer ${number + 1} `, make("code", {}, line)),
      box(...(asked ? [shown("the request", asked)] : []), ...answers),
      ...frames(sides, number),
    ];
  }

  function wentOut(sides, script) {
    const kinds = [["upstream", "What went out to the provider, beside what came in"], ["memory", "What the memory store was asked"]];
    return kinds.flatMap(([key, title]) => {
      const most = Math.max(...sides.map((side) => side.observation[key]?.length ?? 0), 0);
      const calls = Array.from({ length: most }, (_, index) =>
        box(
          ...(script.client && key === "upstream" ? [shown("came in", script.client[Math.min(index, script.client.length - 1)])] : []),
          ...besides(sides, (seen) => seen[key]?.[index], `$.${key}[${index}]`),
        ),
      );
      return most ? [make("h5", {}, title), ...calls] : [];
    });
  }

  function masks(sides) {
    const rows = sides.flatMap((side) => [...side.masked.values()].map((one) => [side, one]));
    if (!rows.length) return [];
    const items = rows.map(([side, one]) =>
      make("li", {}, make("code", {}, one.path), ` on ${named(side)}, ${one.rule}: `, make("del", {}, JSON.stringify(one.was))),
    );
    return [make("details", {}, make("summary", {}, `${rows.length} values were masked before comparing`), make("ul", {}, ...items))];
  }

  function run(data, one, several) {
    const sides = sidesOf(one);
    const script = one.scenario;
    const quoted = `'${data.id.replaceAll("'", "'\\''")}'`;
    const command = one.tier === "mocked" ? `parity show ${quoted}` : `parity run --tier live -k ${quoted}`;
    const { client: _client, provider, ...rest } = script;
    const most = Math.max(...sides.map((side) => side.observation.exchanges?.length ?? 0), 0);
    const also = besides(sides, (seen) => {
      const { exchanges: _exchanges, upstream: _upstream, memory: _memory, ...others } = seen;
      return others;
    }, "$").filter((_, index) => Object.keys(sides[index].observation).some((key) => !["exchanges", "upstream", "memory"].includes(key)));
    return make("div", { class: "run" },
      ...(several ? [make("h4", {}, `${one.tier} tier`)] : []),
      make("p", { class: "facts" }, "To see it again: ", make("code", {}, command)),
      ...Array.from({ length: most }, (_, number) => exchange(sides, number, script)).flat(),
      ...wentOut(sides, script),
      ...(also.length ? [make("h5", {}, "What else was seen"), box(...also)] : []),
      make("h5", {}, "The scenario"),
      box(...(provider ? [shown("the provider’s script", provider)] : []), shown("set-up and what is expected", rest)),
      ...masks(sides),
    );
  }

  function view(data) {
    const clauses = data.clauses.flatMap((clause) => [" ", make("code", {}, clause)]);
    return make("div", { class: "observed", tabindex: "-1", role: "region", "aria-label": `Evidence of ${data.id}` },
      make("p", {}, data.title),
      ...(clauses.length ? [make("p", { class: "facts" }, "Clauses", ...clauses)] : []),
      ...data.runs.map((one) => run(data, one, data.runs.length > 1)),
    );
  }

  const stored = new Map([...document.querySelectorAll("script[data-of]")].map((one) => [one.dataset.of, one]));
  // What is long is compressed, so that a page of thousands of scenarios opens at once.
  async function read(element) {
    if (element.type === "application/json") return JSON.parse(element.textContent);
    const bytes = Uint8Array.from(atob(element.textContent), (one) => one.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).json();
  }

  return { has: (anchor) => stored.has(anchor), view: async (anchor) => view(await read(stored.get(anchor))) };
})();

