"use strict";
// Colours, the height of what sticks to the top, and the address that links are made of.

const $ = (id) => document.getElementById(id);
const catalogue = JSON.parse($("catalogue").textContent);

const escapeHtml = (text) =>
  String(text).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);

const THEMES = { auto: ["◐", "as the system"], light: ["☀", "light"], dark: ["☾", "dark"] };

function showTheme(name) {
  if (name === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = name;
  $("theme").textContent = THEMES[name][0];
  $("theme").setAttribute("aria-label", `Colours: ${THEMES[name][1]}`);
  $("theme").title = `Colours: ${THEMES[name][1]}`;
}

// A browser may refuse storage to a page opened from disk: the choice then lasts as long as the page.
function remembered() {
  try { return localStorage.getItem("afterimage-theme"); } catch { return null; }
}

let theme = remembered() in THEMES ? remembered() : "auto";
showTheme(theme);
$("theme").addEventListener("click", () => {
  const names = Object.keys(THEMES);
  theme = names[(names.indexOf(theme) + 1) % names.length];
  showTheme(theme);
  try { localStorage.setItem("afterimage-theme", theme); } catch { /* not kept */ }
});

function measureTop() {
  const band = document.querySelector(".simulated-band");
  const header = document.querySelector(".top");
  const height = band ? band.offsetHeight : 0;
  header.style.top = `${height}px`;
  const sticks = getComputedStyle(header).position === "sticky";
  const below = height + (sticks ? header.offsetHeight : 0);
  document.documentElement.style.setProperty("--below-top", `${below}px`);
  document.documentElement.style.scrollPaddingTop = `${below + 12}px`;
}
measureTop();
addEventListener("resize", measureTop);

// An address within the page: #/dataset/subject[/image]?sort=...&of=...&order=...&methods=a,b&find=...
// A part that nobody could have encoded is taken as it stands, and is then said to be unknown.
function decoded(part) {
  try { return decodeURIComponent(part); } catch { return part; }
}

function readAddress() {
  if (!location.hash.startsWith("#/")) return null;
  const [path, query] = location.hash.slice(2).split("?");
  const [dataset, subject, image] = path.split("/").map(decoded);
  return { key: `${dataset}/${subject}`, image, query: new URLSearchParams(query || "") };
}

function writeAddress(key, image, values) {
  const path = [...key.split("/"), ...(image === undefined ? [] : [image])];
  const query = new URLSearchParams(values).toString().replaceAll("%2C", ",").replaceAll("%3A", ":");
  return `#/${path.map(encodeURIComponent).join("/")}${query ? `?${query}` : ""}`;
}
