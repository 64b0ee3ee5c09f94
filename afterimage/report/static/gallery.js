// The gallery: which images, in which order, with which methods' pictures beside them.

const shards = new Map(); // file -> promise of its value
const waiting = new Map(); // "kind key [method]" -> resolve

function receive(kind, key, value) {
  const name = kind === "method" ? `${kind} ${key} ${value.method}` : `${kind} ${key}`;
  waiting.get(name)(value);
}

function load(kind, key, method) {
  const path = key.split("/").map(encodeURIComponent).join("/");
  const file = `data/${path}/${method === undefined ? "images" : catalogue.methods[method].file}.js`;
  if (!shards.has(file)) {
    shards.set(file, new Promise((resolve, reject) => {
      waiting.set(method === undefined ? `${kind} ${key}` : `${kind} ${key} ${method}`, resolve);
      const script = document.createElement("script");
      script.src = file;
      script.onerror = () => reject(new Error(`${file} is missing`));
      document.head.append(script);
    }));
  }
  return shards.get(file);
}

const gallery = {
  subject: null, // its entry in the catalogue
  images: null, // its shard of images
  data: new Map(), // method -> its shard
  order: [], // positions of the images shown, in order
  methods: [], // methods shown
};

const byId = (id) => {
  const found = gallery.images.ids.indexOf(id);
  return found < 0 ? null : found;
};

const mean = (values) => {
  const known = (values || []).filter((value) => value !== null);
  return known.length ? known.reduce((a, b) => a + b, 0) / known.length : null;
};

const digits = (value) => (value === null ? "–" : value.toFixed(3).replace("-", "−"));

function score(method, metric, position) {
  const data = gallery.data.get(method);
  return data && data.scores[metric] ? mean(data.scores[metric][position]) : null;
}

// How much better than the shuffled control on the same image: above zero is better.
function gain(method, metric, position) {
  const [own, control] = [score(method, metric, position), score(CONTROL, metric, position)];
  if (own === null || control === null) return null;
  return catalogue.metrics[metric].better === "lower" ? control - own : own - control;
}

const CONTROL = "shuffled";

// What is sorted by: "id", "distance:space", a metric, or "gain:" and a metric.
function sortedBy(sort) {
  if (sort.startsWith("distance:")) return { kind: "distance", name: sort.slice(9) };
  if (sort.startsWith("gain:")) return { kind: "gain", name: sort.slice(5) };
  return sort in catalogue.metrics ? { kind: "metric", name: sort } : { kind: "id", name: "" };
}

const picture = (kind, folder, name) =>
  `${kind}/${gallery.subject.key.split("/").map(encodeURIComponent).join("/")}/${folder}/${encodeURIComponent(name)}`;

const strip = (folder, position) =>
  picture("thumbs", folder, `${gallery.images.files[position]}.webp`);

function option(value, label) {
  const element = document.createElement("option");
  element.value = value;
  element.textContent = label;
  return element;
}

function fillControls(subject) {
  $("subject").value = subject.key;
  const spaces = subject.spaces.map((space) => option(`distance:${space}`, `distance to training (${catalogue.spaces[space]})`));
  const metrics = subject.metrics.map((name) => option(name, catalogue.metrics[name].label));
  const gains = !subject.methods.includes(CONTROL) ? []
    : subject.metrics.map((name) => option(`gain:${name}`, `gain over shuffled, ${catalogue.metrics[name].label}`));
  $("sort").replaceChildren(option("id", "image id"), ...metrics, ...gains, ...spaces);
  $("of").replaceChildren(...subject.methods.map((name) => option(name, catalogue.methods[name].label)));
  $("shown").replaceChildren(
    Object.assign(document.createElement("legend"), { textContent: "Methods" }),
    ...subject.methods.map((name) => {
      const label = document.createElement("label");
      label.title = catalogue.methods[name].hint;
      const box = Object.assign(document.createElement("input"), { type: "checkbox", value: name });
      label.append(box, ` ${catalogue.methods[name].label}`);
      return label;
    }),
  );
}

// What "first" means depends on what is sorted by; only a metric belongs to a method.
function nameOrders() {
  const { kind } = sortedBy($("sort").value);
  const names = {
    id: ["upwards", "downwards"], distance: ["nearest first", "farthest first"],
    metric: ["best first", "worst first"], gain: ["most first", "least first"],
  }[kind];
  [...$("order").options].forEach((entry, i) => { entry.textContent = names[i]; });
  $("of").parentElement.hidden = kind !== "metric" && kind !== "gain";
}

const boxes = () => [...$("shown").querySelectorAll("input")];

function readControls() {
  return {
    sort: $("sort").value, of: $("of").value, order: $("order").value,
    samples: $("samples").value, size: $("size").value, find: $("find").value.trim(),
    methods: boxes().filter((box) => box.checked).map((box) => box.value),
  };
}

const PREFERRED = ["oracle", "best", "linear", "shuffled"];

function applyQuery(query, subject) {
  const set = (id, value, fallback) => {
    $(id).value = value === null ? fallback : value;
    if ($(id).value !== value && $(id).selectedIndex < 0) $(id).value = fallback;
  };
  set("sort", query.get("sort"), "id");
  set("of", query.get("of"), subject.methods.includes("best") ? "best" : subject.methods[0] || "");
  set("order", query.get("order"), "best");
  set("samples", query.get("samples"), "all");
  set("size", query.get("size"), "m");
  $("find").value = query.get("find") || "";
  const foreign = subject.methods.filter((name) => !(name in { mean: 1, image_only: 1, text_only: 1 }));
  const named = query.get("methods") === null ? null : query.get("methods").split(",");
  const wanted = named || foreign.filter((name) => PREFERRED.includes(name) || foreign.length <= 6);
  for (const box of boxes()) box.checked = wanted.includes(box.value);
}

function currentQuery() {
  const values = readControls();
  const query = { sort: values.sort, of: values.of, order: values.order };
  if (values.sort === "id") { delete query.of; delete query.sort; }
  if (values.order === "best") delete query.order;
  if (values.samples !== "all") query.samples = values.samples;
  if (values.size !== "m") query.size = values.size;
  if (values.find) query.find = values.find;
  query.methods = values.methods.join(",");
  return query;
}

function sorted(values) {
  const { images } = gallery;
  const words = values.find.toLowerCase().split(/\s+/).filter(Boolean);
  const text = (i) => `${images.ids[i]} ${images.captions[i].join(" ")}`.toLowerCase();
  let order = images.ids.map((_, i) => i);
  if (words.length) order = order.filter((i) => words.every((word) => text(i).includes(word)));
  const turn = values.order === "worst" ? -1 : 1;
  const { kind, name } = sortedBy(values.sort);
  if (kind === "id") return turn < 0 ? order.reverse() : order;
  const value = {
    distance: (i) => images.distance[name][i],
    metric: (i) => score(values.of, name, i),
    gain: (i) => gain(values.of, name, i),
  }[kind];
  const key = order.map(value);
  // Near to training first; otherwise the better way of the metric, or the most gain, first.
  const upwards = kind === "distance" || (kind === "metric" && catalogue.metrics[name].better === "lower");
  const sign = turn * (upwards ? 1 : -1);
  const place = new Map(order.map((i, k) => [i, key[k]]));
  return order.sort((a, b) => {
    const [x, y] = [place.get(a), place.get(b)];
    if (x === null || y === null) return (x === null) - (y === null) || a - b;
    return sign * (x - y) || a - b;
  });
}

function shownMetric(values) {
  const { kind, name } = sortedBy(values.sort);
  return kind === "metric" || kind === "gain" ? name
    : gallery.subject.metrics.find((other) => other.endsWith(":pcc")) || gallery.subject.metrics[0];
}

function rowHtml(position, values) {
  const { images, subject } = gallery;
  const id = images.ids[position];
  const link = escapeHtml(writeAddress(subject.key, id, {}));
  const captions = images.captions[position];
  const metric = shownMetric(values);
  const { kind, name: sortName } = sortedBy(values.sort);
  const first = kind === "distance" ? [sortName] : [];
  const far = [...first, ...subject.spaces].slice(0, 1).map((space) => {
    const value = images.distance[space][position];
    return value === null ? "" : `<p class="far">to training: ${digits(value)} (${escapeHtml(catalogue.spaces[space])})</p>`;
  }).join("") + (kind === "gain" ? `<p class="gain">gain over shuffled: ${digits(gain(values.of, sortName, position))}</p>` : "");
  const made = gallery.methods.map((method) => {
    const data = gallery.data.get(method);
    const count = data.counts[position];
    const name = escapeHtml(catalogue.methods[method].label);
    const number = metric ? score(method, metric, position) : null;
    const caption = `<figcaption>${name}${number === null ? "" : ` <b>${digits(number)}</b>`}</figcaption>`;
    if (!count) return `<figure><span class="tile none">no picture</span>${caption}</figure>`;
    const shown = values.samples === "first" ? 1 : count;
    const alt = `${name}: ${shown} reconstruction${shown > 1 ? "s" : ""} of image ${escapeHtml(id)}`;
    return `<figure><a class="tile" tabindex="-1" href="${link}" style="width:calc(var(--tile) * ${shown})">` +
      `<img loading="lazy" decoding="async" src="${strip(catalogue.methods[method].file, position)}" alt="${alt}"></a>${caption}</figure>`;
  }).join("");
  return `<article class="row" role="listitem" data-position="${position}" data-id="${escapeHtml(id)}">` +
    `<div class="what"><a class="tile" href="${link}"><img loading="lazy" decoding="async" ` +
    `src="${strip("_seen", position)}" alt="Seen: ${escapeHtml(captions[0] || `image ${id}`)}"></a>` +
    `<div><p class="id"><a href="${link}" tabindex="-1">${escapeHtml(id)}</a></p>` +
    `<p>${escapeHtml(captions[0] || "")}</p>` +
    (captions.length > 1 ? `<p class="more" title="${escapeHtml(captions.slice(1).join("\n"))}">and ${captions.length - 1} more caption${captions.length > 2 ? "s" : ""}</p>` : "") +
    `${far}</div></div><div class="made">${made}</div></article>`;
}

let turn = 0;

async function showGallery(key, query) {
  const mine = ++turn;
  const subject = catalogue.subjects.find((entry) => entry.key === key) || catalogue.subjects[0];
  if (gallery.subject !== subject) {
    gallery.subject = subject;
    gallery.data = new Map();
    gallery.images = null;
    fillControls(subject);
    query = query || new URLSearchParams();
  }
  if (query) applyQuery(query, subject);
  nameOrders();
  const values = readControls();
  const compared = sortedBy(values.sort).kind === "gain" ? [CONTROL] : [];
  const needed = [...new Set([...values.methods, values.of, ...compared])].filter((name) => subject.methods.includes(name));
  const images = await load("images", subject.key);
  const data = await Promise.all(needed.map((name) => load("method", subject.key, name)));
  if (mine !== turn) return;
  gallery.images = images;
  needed.forEach((name, i) => gallery.data.set(name, data[i]));
  gallery.methods = values.methods;
  gallery.order = sorted(values);
  document.documentElement.style.setProperty("--tile", { s: "80px", m: "112px", l: "160px" }[values.size]);
  $("rows").innerHTML = gallery.order.map((position) => rowHtml(position, values)).join("");
  const metric = shownMetric(values);
  $("numbers").textContent = metric ? `Numbers below the pictures: ${catalogue.metrics[metric].label}.` : "";
  const label = subject.simulated ? " · simulated data" : "";
  $("count").textContent = `${gallery.order.length} of ${images.ids.length} images${label}`;
  window.readyAfter ??= performance.now();
  document.documentElement.dataset.ready = "yes";
}

async function controlsChanged(event) {
  const key = $("subject").value;
  const other = event.target === $("subject");
  await showGallery(key, other ? new URLSearchParams() : null);
  history.replaceState(null, "", writeAddress(key, undefined, other ? {} : currentQuery()));
}

async function followAddress() {
  const address = readAddress();
  if (!address) return closeViewer();
  if (!catalogue.subjects.some((entry) => entry.key === address.key)) {
    if (!gallery.subject) await showGallery(catalogue.subjects[0].key);
    return sayUnknown(`No subject ${address.key.replace("/", ", ")} on this page`);
  }
  const same = gallery.subject && gallery.subject.key === address.key;
  // A link to an image of the subject that is shown keeps the view, unless it names another.
  const named = address.query.size && address.query.toString() !== new URLSearchParams(currentQuery()).toString();
  if (!same || address.image === undefined || named) await showGallery(address.key, address.query);
  if (address.image === undefined) {
    closeViewer();
    $("gallery").scrollIntoView();
  } else if (byId(address.image) === null) {
    sayUnknown(`No image ${address.image} among the test images of ${address.key}`);
  } else await openViewer(byId(address.image));
}

function sayUnknown(what) {
  closeViewer();
  $("count").textContent = what;
  $("gallery").scrollIntoView();
}

const say = (problem) => { $("count").textContent = problem.message; };

function moveRow(step) {
  const rows = [...$("rows").children];
  const current = rows.findIndex((row) => row.contains(document.activeElement));
  const sticks = getComputedStyle($("controls")).position === "sticky";
  const top = parseFloat(document.documentElement.style.getPropertyValue("--below-top")) + (sticks ? $("controls").offsetHeight : 0);
  const start = rows.findIndex((row) => row.getBoundingClientRect().bottom > top + 10);
  const next = rows[current < 0 ? start : Math.min(rows.length - 1, Math.max(0, current + step))];
  if (!next) return;
  next.querySelector("a").focus({ preventScroll: true });
  const box = next.getBoundingClientRect();
  if (box.top < top || box.bottom > innerHeight) scrollBy({ top: box.top - top - 8 });
}

if (catalogue.subjects.length) {
  $("subject").append(...catalogue.subjects.map((entry) =>
    option(entry.key, entry.simulated ? `${entry.label} (simulated)` : entry.label)));
  let typing;
  $("controls").addEventListener("input", (event) => {
    clearTimeout(typing);
    if (event.target === $("find")) typing = setTimeout(() => controlsChanged(event), 150);
    else controlsChanged(event);
  });
  $("controls").addEventListener("submit", (event) => event.preventDefault());
  addEventListener("hashchange", () => followAddress().catch(say));
  // A picture's own address is short and lasting; the one that a click leads to keeps the view.
  $("rows").addEventListener("click", (event) => {
    const link = event.target.closest("a");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    location.hash = writeAddress(gallery.subject.key, link.closest(".row").dataset.id, currentQuery());
  });
  addEventListener("keydown", (event) => {
    if (event.target.closest("input[type=search], select, dialog") || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "/") { event.preventDefault(); $("find").focus(); }
    if (event.key === "j") moveRow(1);
    if (event.key === "k") moveRow(-1);
  });
  addEventListener("DOMContentLoaded", () =>
    (readAddress() ? followAddress() : showGallery(catalogue.subjects[0].key)).catch(say));
}
