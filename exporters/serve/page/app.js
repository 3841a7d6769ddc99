// The page of the service: a disease or a drug is looked for while it is typed, and its lists are shown.
"use strict";

const $ = (id) => document.getElementById(id);
const DASH = "–";
const WAIT = 90;            // milliseconds after a key before it is searched for
const SHOWN = 8;            // names that are offered
let bundles = [];
let offered = [], marked = -1, searches = 0, asks = 0, timer = 0;
let state = { bundle: "", side: "tail", id: "", relation: "" };
let answer = null;

const facts = () => bundles.find((one) => one.scored_by.bundle === state.bundle) || bundles[0];
const kind = (side) => side === "tail" ? facts().tail_type : facts().head_type;
const other = (side) => side === "tail" ? "head" : "tail";
const plural = (word) => word + (word.endsWith("s") ? "" : "s");
const capital = (word) => word.charAt(0).toUpperCase() + word.slice(1);
const words = (text) => text.replaceAll("_", " ");

function make(tag, text, className) {
  const one = document.createElement(tag);
  if (text !== undefined) one.textContent = text;
  if (className) one.className = className;
  return one;
}

async function get(path, asked) {
  const query = new URLSearchParams(asked);
  const token = sessionStorage.getItem("token");
  const reply = await fetch(asked ? `${path}?${query}` : path, { headers: token ? { Authorization: `Bearer ${token}` } : {} });
  const data = await reply.json();
  if (reply.ok) return data;
  const problem = new Error(data.error || `The service answered with ${reply.status}.`);
  problem.status = reply.status;
  throw problem;
}

function tell(problem) {
  if (problem.status === 401) {
    $("token-form").hidden = false;
    $("problem").hidden = !sessionStorage.getItem("token");
    $("problem").textContent = "The token is not the service's.";
    $("token").focus();
    return;
  }
  $("problem").textContent = problem.status ? problem.message : "The service cannot be reached.";
  $("problem").hidden = false;
}

// Searching

function lookFor() {
  clearTimeout(timer);
  timer = setTimeout(search, WAIT);
}

async function search() {
  const typed = $("name").value.trim(), mine = ++searches;
  if (!typed) return offer([], "");
  try {
    const found = await get("/search", { q: typed, type: kind(state.side), limit: SHOWN, bundle: state.bundle });
    if (mine === searches && document.activeElement === $("name")) offer(found.results, typed);
  } catch (problem) {
    if (mine === searches) tell(problem);
  }
}

function offer(results, typed) {
  offered = results;
  marked = results.length ? 0 : -1;
  const list = $("found");
  list.replaceChildren(...results.map((one, place) => {
    const line = make("li");
    line.id = `found-${place}`;
    line.setAttribute("role", "option");
    line.append(lit(one.name || one.id, typed), make("span", one.id, "id"));
    line.addEventListener("pointerdown", (event) => { event.preventDefault(); choose(place); });
    return line;
  }));
  if (typed && !results.length) list.append(make("li", `No ${kind(state.side)} is called like that.`, "none"));
  list.hidden = !typed;
  $("name").setAttribute("aria-expanded", String(!list.hidden));
  mark(marked);
}

// What was typed stands out in the name.
function lit(name, typed) {
  const whole = make("span", undefined, "name");
  const place = name.toLowerCase().indexOf(typed.toLowerCase());
  if (place < 0) { whole.textContent = name; return whole; }
  whole.append(name.slice(0, place), make("mark", name.slice(place, place + typed.length)), name.slice(place + typed.length));
  return whole;
}

function mark(place) {
  marked = place;
  [...$("found").children].forEach((line, at) => {
    if (!line.id) return;
    line.setAttribute("aria-selected", String(at === place));
    if (at === place) line.scrollIntoView({ block: "nearest" });
  });
  if (place >= 0) $("name").setAttribute("aria-activedescendant", `found-${place}`);
  else $("name").removeAttribute("aria-activedescendant");
}

function close() {
  searches += 1;
  clearTimeout(timer);
  $("found").hidden = true;
  $("name").setAttribute("aria-expanded", "false");
  $("name").removeAttribute("aria-activedescendant");
}

function choose(place) {
  const one = offered[place];
  close();
  $("name").value = one.name || one.id;
  // On a telephone the keyboard would cover the answer.
  if (matchMedia("(pointer: coarse)").matches) $("name").blur();
  ask(one.id);
}

function pressed(event) {
  const open = !$("found").hidden, last = offered.length - 1;
  if (event.key === "ArrowDown" && !open) { search(); event.preventDefault(); }
  else if (event.key === "ArrowDown" && last >= 0) { mark(marked < last ? marked + 1 : 0); event.preventDefault(); }
  else if (event.key === "ArrowUp" && open && last >= 0) { mark(marked > 0 ? marked - 1 : last); event.preventDefault(); }
  else if (event.key === "Escape") { if (!open) $("name").value = ""; close(); }
  else if (event.key === "Enter") {
    event.preventDefault();
    if (open && marked >= 0) choose(marked);
    else if ($("name").value.trim()) { close(); ask($("name").value.trim()); }
  }
}

// Asking

async function ask(id, keepRelation = true) {
  state.id = id;
  if (!keepRelation) state.relation = "";
  const mine = ++asks;
  $("problem").hidden = true;
  $("answer").classList.add("old");
  const asked = { [state.side]: id, bundle: state.bundle, top: $("top").value, reasons: true };
  if ($("hide-known").checked) asked.exclude_known = true;
  if ($("order").value) asked.beyond = $("order").value;
  try {
    const found = await get("/rank", asked);
    if (mine !== asks) return;
    answer = found;
    state.id = found.node.id;
    if (!found.lists.some((one) => one.relation === state.relation)) {
      const wanted = found.lists.find((one) => one.relation === "indication") || found.lists[0];
      state.relation = wanted.relation;
    }
    show();
    remember();
  } catch (problem) {
    if (mine !== asks) return;
    $("answer").hidden = true;
    tell(problem);
  } finally {
    if (mine === asks) $("answer").classList.remove("old");
  }
}

function show() {
  const list = answer.lists.find((one) => one.relation === state.relation);
  $("answer").hidden = false;
  $("examples").hidden = $("legend").hidden = true;
  $("name").value = answer.node.name || answer.node.id;
  $("whose").textContent = answer.node.name || answer.node.id;
  $("whose-id").textContent = `${words(answer.node.type)} ${answer.node.id}`;
  $("ranked-word").textContent = capital(words(answer.ranked_type));
  $("score-word").textContent = list.calibrated ? "Probability" : "Score";
  $("caption").textContent = `${plural(answer.ranked_type)} for ${answer.node.name}, ${list.relation}`;
  $("relations").replaceChildren(...answer.lists.map((one) => {
    const tab = make("button", words(one.relation));
    tab.type = "button";
    tab.setAttribute("role", "tab");
    tab.setAttribute("aria-selected", String(one === list));
    tab.addEventListener("click", () => { state.relation = one.relation; show(); remember(); });
    return tab;
  }));
  $("rows").replaceChildren(...list.rows.map((one) => row(one, list)));
  $("nothing").hidden = list.rows.length > 0;
  $("notes").textContent = notes(list);
}

function row(one, list) {
  const line = make("tr");
  const name = make("td", undefined, "drug");
  name.append(one.name || one.id);
  if (one.known) name.append(" ", make("span", one.known === "train" ? "known" : `known: ${one.known}`, "known"));
  if (!one.trained) name.append(" ", make("span", "no training pair", "known fresh"));
  name.append(make("span", one.id, "id"));
  const score = make("td", undefined, "score");
  if (list.calibrated && one.probability !== null) {
    const bar = make("span", undefined, "bar"), filled = make("span");
    filled.style.width = `${100 * one.probability}%`;
    bar.append(filled);
    const value = make("span", `${(100 * one.probability).toFixed(1)} %`);
    value.title = `score ${one.logit.toFixed(3)}`;
    score.append(bar, value);
  } else score.textContent = one.logit.toFixed(3);
  line.append(make("td", one.rank, "n rank"), name, score,
    rival("Popularity", one.trained ? one.popularity_rank : null), rival("Neighbours", one.neighbours_rank), reasons(one.why));
  return line;
}

function rival(word, rank) {
  const cell = make("td", rank === null ? DASH : rank, "n rival");
  cell.dataset.word = word;
  return cell;
}

function reasons(why) {
  const cell = make("td", undefined, "why");
  if (why && why.alike.length) cell.append(sentence(`Similar ${plural(words(facts().tail_type))} with this ${words(facts().head_type)}: `,
    why.alike.map((one) => [one.name || one.id, ` (${one.similarity.toFixed(2)})`])));
  if (why && why.shared.length) cell.append(sentence("Both joined to ",
    why.shared.map((one) => [one.name || one.id, ` (${words(one.type)})`]), why.shared_count - why.shared.length));
  if (!cell.childNodes.length) {
    cell.textContent = DASH;
    cell.classList.add("none");
  }
  return cell;
}

function sentence(begin, parts, more = 0) {
  const line = make("p", begin);
  parts.forEach(([name, rest], place) => line.append(place ? ", " : "", make("b", name), rest));
  if (more > 0) line.append(` and ${more} more`);
  return line;
}

function notes(list) {
  const told = [];
  if (list.calibrated) told.push(`Probabilities assume that ${Math.round(100 * list.base_rate)} % of pairs are true.`);
  else told.push("Scores of this relation are not calibrated as probabilities.");
  told.push(`All ranks are among the same ${plural(answer.ranked_type)}. ${DASH}: says nothing of the pair.`);
  if (list.left_out) told.push(`${list.left_out} that no training edge leads to are left out.`);
  return told.join(" ");
}

// The address says what is shown, so that it can be passed on.

function remember() {
  const told = new URLSearchParams({ [state.side]: state.id, relation: state.relation });
  if (bundles.length > 1) told.set("bundle", state.bundle);
  const hash = `#${told}`;
  if (hash !== location.hash) history.pushState(null, "", hash);
  document.title = `${answer.node.name || answer.node.id}: flykd-console`;
}

function recall() {
  const told = new URLSearchParams(location.hash.slice(1));
  if (bundles.some((one) => one.scored_by.bundle === told.get("bundle"))) state.bundle = told.get("bundle");
  state.side = told.has("head") ? "head" : "tail";
  state.relation = told.get("relation") || state.relation;
  dress();
  const id = told.get(state.side);
  if (id) ask(id);
  else { $("answer").hidden = true; $("legend").hidden = false; $("name").value = ""; $("name").focus(); }
}

// Words that follow from the bundle and from what is asked for.
function dress() {
  const now = facts(), mine = words(kind(state.side)), theirs = words(kind(other(state.side)));
  $("bundle").value = state.bundle;
  document.querySelector(`[name=side][value=${state.side}]`).checked = true;
  $("tail-word").textContent = words(now.tail_type);
  $("head-word").textContent = words(now.head_type);
  $("question").textContent = `Which ${plural(theirs)} for a ${mine}?`;
  $("name").placeholder = `Type a ${mine}, or its id`;
  $("order").querySelector("[value=neighbours]").disabled = "neighbours" in now.missing;
  if ("neighbours" in now.missing && $("order").value === "neighbours") $("order").value = "";
  const by = now.scored_by, seeds = by.seeds.length > 1 ? `mean of seeds ${by.seeds.join(", ")}` : `seed ${by.seeds[0]}`;
  $("scored-by").textContent = `Scored by run ${by.run}, ${seeds}, model ${by.model} (${by.method}), on ${now.graph.source}: `
    + `${now.nodes[now.head_type].toLocaleString("en")} ${plural(words(now.head_type))}, `
    + `${now.nodes[now.tail_type].toLocaleString("en")} ${plural(words(now.tail_type))}.`;
  $("examples").replaceChildren("Try ", ...now.examples.map((one) => {
    const button = make("button", one.name || one.id);
    button.type = "button";
    button.addEventListener("click", () => { turn("tail"); ask(one.id); });
    return button;
  }));
  $("examples").hidden = state.side !== "tail" || !now.examples.length;
}

function turn(side) {
  if (side === state.side) return;
  state.side = side;
  dress();
}

async function begin() {
  try {
    bundles = (await get("/metadata")).bundles;
  } catch (problem) {
    tell(problem);
    return;
  }
  $("token-form").hidden = $("problem").hidden = true;
  state.bundle = bundles[0].scored_by.bundle;
  $("bundle").replaceChildren(...bundles.map((one) => make("option", one.scored_by.bundle)));
  $("bundle-field").hidden = bundles.length < 2;
  recall();
}

$("name").addEventListener("input", lookFor);
$("name").addEventListener("keydown", pressed);
$("name").addEventListener("focus", () => $("name").select());
$("name").addEventListener("blur", close);
$("ask").addEventListener("submit", (event) => event.preventDefault());
$("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("token", $("token").value.trim());
  $("token").value = "";
  begin();
});
document.querySelectorAll("[name=side]").forEach((one) => one.addEventListener("change", () => {
  turn(one.value);
  $("answer").hidden = $("problem").hidden = true;
  $("name").value = "";
  $("name").focus();
}));
$("bundle").addEventListener("change", () => {
  state.bundle = $("bundle").value;
  dress();
  if (state.id && !$("answer").hidden) ask(state.id);
});
for (const id of ["hide-known", "order", "top"]) $(id).addEventListener("change", () => { if (state.id) ask(state.id); });
window.addEventListener("popstate", recall);
begin();
