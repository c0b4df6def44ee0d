"use strict";
// The people of the sample, to filter, list and plot. Data: {columns: [{name, title, unit}], values: [[...] a column], people: [[image, id, dataset, reason]], total}.
(() => {
  const data = JSON.parse(document.getElementById("people-data").textContent);
  const $ = (id) => document.getElementById(id);
  const column = Object.fromEntries(data.columns.map((c, at) => [c.name, data.values[at]]));
  const label = (c) => (c.unit ? `${c.title} (${c.unit})` : c.title);
  const number = data.people.length;
  const LISTED = 200;
  const ranges = ["quality", "reprojection_rel"].filter((name) => column[name] && column[name].some((v) => v !== null));
  let sorted = ranges.includes("quality") ? { by: "quality", up: false } : { by: "id", up: true };
  let shown = [], picked = -1, dots = [];

  const short = (v) => (v === null || v === undefined ? "–" : Number.isInteger(v) ? String(v) : Math.abs(v) >= 100 ? v.toFixed(0) : Math.abs(v) >= 10 ? v.toFixed(1) : v.toFixed(2));
  const escape = (text) => { const node = document.createElement("span"); node.textContent = text; return node.innerHTML; };

  // ---- controls
  const reason = $("filter-reason");
  const widest = (name) => Math.max(0, ...column[name].filter((v) => v !== null));
  if (ranges.includes("reprojection_rel")) {
    const slider = $("filter-error");
    slider.max = Math.ceil(widest("reprojection_rel") * 10) / 10;
    slider.value = slider.max;
  }
  for (const axis of ["x", "y"]) {
    for (const c of data.columns) {
      if (!column[c.name].some((v) => v !== null)) continue;
      const option = document.createElement("option");
      option.value = c.name;
      option.textContent = label(c);
      $(`axis-${axis}`).append(option);
    }
  }
  const choose = (select, name) => { if ([...select.options].some((o) => o.value === name)) select.value = name; };
  choose($("axis-x"), "reprojection_rel");
  choose($("axis-y"), "quality");

  const state = () => ({
    quality: $("filter-quality") ? Number($("filter-quality").value) : 0,
    error: $("filter-error") ? Number($("filter-error").value) : Infinity,
    most: $("filter-error") ? Number($("filter-error").max) : Infinity,
    reason: reason.value,
    text: $("filter-text").value.trim().toLowerCase(),
  });
  const passes = (s, quality, error, why, text) =>
    (s.quality <= 0 || (quality !== null && quality >= s.quality)) &&
    (s.error >= s.most || (error !== null && error <= s.error)) &&
    (s.reason === "" || (s.reason === "valid" ? why === "" : s.reason === "skipped" ? why !== "" : why === s.reason)) &&
    (s.text === "" || text.toLowerCase().includes(s.text));

  // ---- what the filters leave
  function apply(touched) {
    const s = state();
    if ($("out-quality")) $("out-quality").textContent = s.quality.toFixed(2);
    if ($("out-error")) $("out-error").textContent = s.error >= s.most ? "any" : `${s.error.toFixed(1)} %`;
    shown = [];
    for (let at = 0; at < number; at++) {
      const [image, id, dataset, why] = data.people[at];
      const value = (name) => (column[name] ? column[name][at] : null);
      if (passes(s, value("quality"), value("reprojection_rel"), why, `${dataset} ${image} ${id}`)) shown.push(at);
    }
    for (const card of document.querySelectorAll(".card[data-text]")) {
      const get = (name) => (card.dataset[name] === "" ? null : Number(card.dataset[name]));
      card.classList.toggle("off", !passes(s, get("quality"), get("error"), "", card.dataset.text));
    }
    $("count").textContent = `${shown.length.toLocaleString("en")} of ${number.toLocaleString("en")} people match` +
      (number < data.total ? `; these are drawn by chance from the run's ${data.total.toLocaleString("en")}` : "");
    document.body.dataset.shown = shown.length;
    if (touched) {
      const hash = new URLSearchParams();
      if (s.quality > 0) hash.set("quality", s.quality);
      if (s.error < s.most) hash.set("error", s.error);
      if (s.reason) hash.set("reason", s.reason);
      if (s.text) hash.set("text", s.text);
      history.replaceState(null, "", hash.size ? `#${hash}` : location.pathname + location.search);
    }
    list();
    plot();
  }

  function list() {
    const key = sorted.by === "image" ? (at) => data.people[at][0] : sorted.by === "id" ? (at) => data.people[at][1]
      : sorted.by === "reason" ? (at) => data.people[at][3] : (at) => column[sorted.by][at];
    const order = [...shown].sort((p, q) => {
      const [v, w] = [key(p), key(q)];
      if (v === null || w === null) return (v === null) - (w === null);
      const up = typeof v === "string" ? v.localeCompare(w) : v - w;
      return sorted.up ? up : -up;
    });
    const body = order.slice(0, LISTED).map((at) => {
      const [image, id, , why] = data.people[at];
      const cells = data.columns.map((c, n) => `<td>${short(data.values[n][at])}</td>`).join("");
      return `<tr data-at="${at}"${at === picked ? ' class="found"' : ""}><td class="text">${escape(image)}</td><td>${id}</td>${cells}<td class="text">${escape(why)}</td></tr>`;
    });
    $("list-body").innerHTML = body.join("");
    $("list-note").textContent = order.length > LISTED ? `The list shows the first ${LISTED}.` : "";
    for (const button of document.querySelectorAll(".list th button")) {
      const on = button.dataset.by === sorted.by;
      button.parentElement.setAttribute("aria-sort", on ? (sorted.up ? "ascending" : "descending") : "none");
      button.textContent = button.dataset.title + (on ? (sorted.up ? " ▲" : " ▼") : "");
    }
  }

  // ---- scatter
  function ticks(low, high, count) {
    const step = Math.pow(10, Math.floor(Math.log10((high - low) / count)));
    const wide = [1, 2, 5, 10].map((m) => m * step).find((m) => (high - low) / m <= count);
    const found = [];
    for (let n = Math.ceil(low / wide); n * wide <= high * (1 + 1e-9); n++) found.push(Number((n * wide).toPrecision(8)));
    return found;
  }
  function plot() {
    const canvas = $("scatter");
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (!width) return;
    const ratio = window.devicePixelRatio || 1;
    canvas.width = width * ratio;
    canvas.height = height * ratio;
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    const [nx, ny] = [$("axis-x").value, $("axis-y").value];
    const [cx, cy] = [nx, ny].map((name) => data.columns.find((c) => c.name === name));
    dots = [];
    if (!cx || !cy) return;
    const extent = (name) => {
      const values = column[name].filter((v) => v !== null);
      let low = Infinity, high = -Infinity;
      for (const v of values) { if (v < low) low = v; if (v > high) high = v; }
      const room = (high - low || 1) * 0.03;
      return [low - room, high + room];
    };
    const [[x0, x1], [y0, y1]] = [extent(nx), extent(ny)];
    const left = 52, right = width - 10, top = 8, bottom = height - 40;
    const px = (v) => left + ((v - x0) / (x1 - x0)) * (right - left);
    const py = (v) => bottom - ((v - y0) / (y1 - y0)) * (bottom - top);
    pen.font = "12px system-ui, sans-serif";
    pen.strokeStyle = "#e1e5ea";
    pen.fillStyle = "#27303b";
    pen.textAlign = "center";
    for (const v of ticks(x0, x1, Math.max(3, width / 90))) {
      pen.beginPath(); pen.moveTo(px(v), top); pen.lineTo(px(v), bottom); pen.stroke();
      pen.fillText(String(v), px(v), bottom + 15);
    }
    pen.textAlign = "right";
    for (const v of ticks(y0, y1, 7)) {
      pen.beginPath(); pen.moveTo(left, py(v)); pen.lineTo(right, py(v)); pen.stroke();
      pen.fillText(String(v), left - 6, py(v) + 4);
    }
    pen.textAlign = "center";
    pen.fillText(label(cx), (left + right) / 2, height - 6);
    pen.save(); pen.translate(12, (top + bottom) / 2); pen.rotate(-Math.PI / 2); pen.fillText(label(cy), 0, 0); pen.restore();
    const draw = (at, color, radius) => {
      const [vx, vy] = [column[nx][at], column[ny][at]];
      if (vx === null || vy === null) return;
      pen.fillStyle = color;
      pen.beginPath(); pen.arc(px(vx), py(vy), radius, 0, 7); pen.fill();
      dots.push([px(vx), py(vy), at]);
    };
    const mine = new Set(shown);
    for (let at = 0; at < number; at++) if (!mine.has(at)) draw(at, "rgba(120,130,140,.16)", 2);
    dots = [];
    for (const at of shown) draw(at, "rgba(200,100,45,.6)", 2.6);
    if (picked >= 0) draw(picked, "#27303b", 5);
  }

  // ---- pointing at a person
  function pick(at) {
    picked = at;
    const [image, id, dataset, why] = data.people[at];
    const values = data.columns.map((c, n) => [c, data.values[n][at]]).filter(([, v]) => v !== null);
    $("picked").textContent = `${dataset}, ${image}, annotation ${id}: ` + (why ? `no body (${why})` : values.map(([c, v]) => `${label(c)} ${short(v)}`).join(", "));
    for (const card of document.querySelectorAll(".card")) card.classList.toggle("found", card.dataset.text === `${dataset} ${image} ${id}`);
    const card = document.querySelector(".card.found");
    $("to-card").hidden = !card;
    for (const row of document.querySelectorAll("#list-body tr")) row.classList.toggle("found", Number(row.dataset.at) === at);
    plot();
  }
  const nearest = (event) => {
    const box = $("scatter").getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    let best = -1, least = 144;
    for (const [dx, dy, at] of dots) { const d = (dx - x) ** 2 + (dy - y) ** 2; if (d < least) [best, least] = [at, d]; }
    return best;
  };
  $("scatter").addEventListener("click", (event) => { const at = nearest(event); if (at >= 0) pick(at); });
  $("scatter").addEventListener("mousemove", (event) => {
    const at = nearest(event);
    $("scatter").title = at < 0 ? "" : `${data.people[at][0]}, annotation ${data.people[at][1]}`;
    $("scatter").style.cursor = at < 0 ? "default" : "pointer";
  });
  $("list-body").addEventListener("click", (event) => { const row = event.target.closest("tr"); if (row) pick(Number(row.dataset.at)); });
  $("to-card").addEventListener("click", () => document.querySelector(".card.found").scrollIntoView({ block: "center" }));
  for (const button of document.querySelectorAll(".list th button")) {
    button.addEventListener("click", () => {
      sorted = { by: button.dataset.by, up: sorted.by === button.dataset.by ? !sorted.up : !["quality"].includes(button.dataset.by) };
      list();
    });
  }
  for (const control of document.querySelectorAll(".filters input, .filters select")) control.addEventListener("input", apply);
  $("filter-clear").addEventListener("click", () => {
    if ($("filter-quality")) $("filter-quality").value = 0;
    if ($("filter-error")) $("filter-error").value = $("filter-error").max;
    reason.value = "";
    $("filter-text").value = "";
    apply(true);
  });
  window.addEventListener("resize", plot);

  // ---- a link may carry filters: index.html#quality=0.5&reason=valid
  const asked = new URLSearchParams(location.hash.slice(1));
  if (asked.has("quality") && $("filter-quality")) $("filter-quality").value = asked.get("quality");
  if (asked.has("error") && $("filter-error")) $("filter-error").value = asked.get("error");
  if (asked.has("reason")) reason.value = asked.get("reason");
  if (reason.selectedIndex < 0) reason.value = "";
  if (asked.has("text")) $("filter-text").value = asked.get("text");
  apply();
  document.body.dataset.ready = "yes";
})();
