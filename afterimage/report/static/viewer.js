// The enlarged view of one image: what was seen, every sample, every score.

const viewer = { position: null };

function samplePicture(method, position, sample) {
  const data = gallery.data.get(method);
  if (data.links) return data.links[position][sample];
  return picture("pictures", catalogue.methods[method].file, `${gallery.images.files[position]}_${sample}.jpg`);
}

// A strip holds an image's samples side by side: in a square box this moves one of them into view.
const placeInStrip = (sample, count) => (count > 1 ? `${(100 * sample) / (count - 1)}%` : "0%");

// A page that was moved away from its results still has the small pictures.
function showSmall(image) {
  image.src = image.dataset.small;
  image.style.objectFit = "cover";
  image.style.objectPosition = `${image.dataset.place} 0`;
}

function methodHtml(method, position) {
  const data = gallery.data.get(method);
  const { label, hint } = catalogue.methods[method];
  const metric = shownMetric(readControls());
  const id = escapeHtml(gallery.images.ids[position]);
  const small = strip(catalogue.methods[method].file, position);
  const samples = Array.from({ length: data.counts[position] }, (_, sample) => {
    const values = metric && data.scores[metric] ? data.scores[metric][position] : [];
    // Some scores belong to all samples together: they stand in the table alone.
    const number = values.length === data.counts[position] ? ` · ${digits(values[sample])}` : "";
    return `<figure><button type="button" aria-label="Enlarge sample ${sample + 1} of ${escapeHtml(label)}">` +
      `<img src="${escapeHtml(samplePicture(method, position, sample))}" data-small="${escapeHtml(small)}" ` +
      `data-place="${placeInStrip(sample, data.counts[position])}" ` +
      `alt="${escapeHtml(label)}, sample ${sample + 1} of image ${id}"></button>` +
      `<figcaption>sample ${sample + 1}${number}</figcaption></figure>`;
  }).join("");
  return `<section class="by-method"><h3>${escapeHtml(label)} <small>${escapeHtml(hint)}</small></h3>` +
    `<div class="samples">${samples || "<p>no picture</p>"}</div></section>`;
}

function scoresHtml(position) {
  const metrics = gallery.subject.metrics.filter((name) =>
    gallery.methods.some((method) => score(method, name, position) !== null));
  if (!metrics.length) return "";
  const head = gallery.methods.map((method) => `<th scope="col">${escapeHtml(catalogue.methods[method].label)}</th>`).join("");
  const rows = metrics.map((name) => {
    const cells = gallery.methods.map((method) => `<td>${digits(score(method, name, position))}</td>`).join("");
    const arrow = { higher: "↑", lower: "↓" }[catalogue.metrics[name].better] || "";
    return `<tr><th scope="row">${escapeHtml(catalogue.metrics[name].label)} <span class="arrow">${arrow}</span></th>${cells}</tr>`;
  }).join("");
  return `<div class="scroll"><table class="numbers"><caption>Scores of this image, means over its samples</caption>` +
    `<thead><tr><th scope="col">Metric</th>${head}</tr></thead><tbody>${rows}</tbody></table></div>`;
}

async function openViewer(position) {
  viewer.position = position;
  const { images, subject } = gallery;
  const id = images.ids[position];
  const metric = shownMetric(readControls());
  const captions = images.captions[position].map((text) => `<li>${escapeHtml(text)}</li>`).join("");
  const far = subject.spaces.map((space) => `${escapeHtml(catalogue.spaces[space])} ${digits(images.distance[space][position])}`).join(", ");
  $("viewer-title").innerHTML = `Image ${escapeHtml(id)} · ${escapeHtml(subject.label)}` +
    (subject.simulated ? ' <span class="badge">simulated</span>' : "");
  $("viewer-body").innerHTML = `<div class="original"><img src="${picture("pictures", "_seen", `${images.files[position]}_0.jpg`)}" ` +
    `alt="Seen: ${escapeHtml(images.captions[position][0] || `image ${id}`)}"><p class="note">Seen</p><ul>${captions}</ul>` +
    (far && `<p class="note">Distance to the nearest training image: ${far}</p>`) +
    (metric ? `<p class="note">Number below each sample: ${escapeHtml(catalogue.metrics[metric].label)}</p>` : "") + `</div>` +
    `<div><div class="every-method">${gallery.methods.map((method) => methodHtml(method, position)).join("")}</div>${scoresHtml(position)}</div>`;
  for (const image of $("viewer-body").querySelectorAll("img[data-small]")) {
    image.addEventListener("error", () => showSmall(image), { once: true });
  }
  const fresh = !$("viewer").open;
  if (fresh) $("viewer").showModal();
  $("viewer").scrollTop = 0;
  const place = gallery.order.indexOf(position);
  $("previous").disabled = place <= 0;
  $("next").disabled = place < 0 || place >= gallery.order.length - 1;
  if (!fresh) keepFocus();
  else $("viewer-title").focus({ preventScroll: true });
}

// The arrow keys are heard inside the view: a button that was disabled or replaced has lost the focus.
function keepFocus() {
  const active = document.activeElement;
  if (!$("viewer").contains(active) || active.disabled) $("viewer-title").focus({ preventScroll: true });
}

function closeViewer() {
  if ($("viewer").open) $("viewer").close();
}

function stepViewer(step) {
  const next = gallery.order[gallery.order.indexOf(viewer.position) + step];
  if (next === undefined) return;
  history.replaceState(null, "", writeAddress(gallery.subject.key, gallery.images.ids[next], currentQuery()));
  openViewer(next);
}

$("previous").addEventListener("click", () => stepViewer(-1));
$("next").addEventListener("click", () => stepViewer(1));
$("close").addEventListener("click", closeViewer);
$("viewer").addEventListener("click", (event) => {
  if (event.target === $("viewer")) closeViewer();
  const button = event.target.closest(".samples button");
  if (button) button.parentElement.classList.toggle("zoom");
});
$("viewer").addEventListener("keydown", (event) => {
  if (event.key === "ArrowLeft") stepViewer(-1);
  if (event.key === "ArrowRight") stepViewer(1);
});
$("viewer").addEventListener("close", () => {
  const position = viewer.position;
  viewer.position = null;
  if (!gallery.subject || position === null) return;
  const address = readAddress();
  if (address && address.image !== undefined) {
    history.replaceState(null, "", writeAddress(gallery.subject.key, undefined, currentQuery()));
  }
  const row = $("rows").querySelector(`[data-position="${position}"]`);
  if (!row) return;
  for (const other of $("rows").querySelectorAll(".current")) other.classList.remove("current");
  row.classList.add("current");
  row.scrollIntoView({ block: "center" });
  row.querySelector("a").focus({ preventScroll: true });
});
