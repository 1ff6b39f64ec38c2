// Belongs here: importing a table by the page: first what it would become, then storing it; and taking one away.
// Does not belong here: what a file means (the server says it).

const answer = document.querySelector("[data-answer]");

function line(words, kind = "p") {
  const made = document.createElement(kind);
  made.textContent = words;
  answer.append(made);
  return made;
}

function fault(said) {
  answer.replaceChildren();
  line([said.error, said.remedy].filter(Boolean).join(" ")).className = "fault";
}

const joins = new Map();

/** What a column names, to choose: whatever is chosen is looked at anew before it is stored. */
function choice(column) {
  const made = document.createElement("select");
  made.setAttribute("aria-label", `${answer.dataset.wordsNames}: ${column.header}`);
  for (const [value, words] of [["", "–"], ...Object.entries(JSON.parse(answer.dataset.wordsJoins))]) {
    made.add(new Option(words, value, false, value === (column.joins ?? "")));
  }
  made.addEventListener("change", () => {
    joins.set(column.header, made.value || null);
    form.querySelector("[data-store]").disabled = true;
    form.requestSubmit(form.querySelector("[value=look]"));
  });
  return made;
}

function show(said) {
  answer.replaceChildren();
  const words = answer.dataset[`words${said.state === "replaced" ? "Stored" : said.state[0].toUpperCase() + said.state.slice(1)}`];
  line(words.replace("{n}", said.rows).replace("{name}", `ext_${said.name}`));
  const table = line("", "table");
  const head = table.createTHead().insertRow();
  for (const name of ["wordsColumn", "wordsHolds", "wordsNames"]) {
    const cell = document.createElement("th");
    cell.scope = "col";
    cell.textContent = answer.dataset[name];
    head.append(cell);
  }
  const body = table.createTBody();
  const [kinds, names] = [JSON.parse(answer.dataset.wordsKinds), JSON.parse(answer.dataset.wordsJoins)];
  for (const column of said.columns) {
    const row = body.insertRow();
    for (const word of [column.name, kinds[column.kind] ?? column.kind]) row.insertCell().textContent = word;
    const named = row.insertCell();
    if (said.state === "seen" && column.header) named.append(choice(column));
    else named.textContent = names[column.joins] ?? "";
  }
  for (const words of [...said.unmatched, ...said.notes]) line(words);
  if (said.state === "seen") return;
  const link = document.createElement("a");
  link.href = `/tables/${encodeURIComponent(said.name)}`;
  link.textContent = answer.dataset.wordsOpen;
  line("").append(link);
}

async function post(path, body) {
  try {
    const response = await fetch(path, {
      method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json" },
    });
    return [response.ok, await response.json()];
  } catch (error) {
    return [false, { error: String(error.message ?? error) }];
  }
}

/** The bytes of a file in base64: whatever its encoding, the server sees it as it is. */
function content(file) {
  return new Promise((done, failed) => {
    const reader = new FileReader();
    reader.onload = () => done(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => failed(reader.error);
    reader.readAsDataURL(file);
  });
}

const form = document.querySelector("form[data-import]");
form?.addEventListener("change", (event) => {
  form.querySelector("[data-store]").disabled = true;
  if (event.target.name === "file") joins.clear();
});
form?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const store = form.querySelector("[data-store]");
  const storing = event.submitter === store;
  const file = form.elements.namedItem("file").files[0];
  const field = (name) => form.elements.namedItem(name).value;
  event.submitter.disabled = true;
  const [ok, said] = await post("/api/tables/import", {
    file_name: file.name, content: await content(file), name: field("name"), about: field("about"), dates: field("dates"),
    replace: form.elements.namedItem("replace").checked, dry_run: !storing, joins: Object.fromEntries(joins),
  });
  event.submitter.disabled = false;
  if (ok) show(said);
  else fault(said);
  store.disabled = !ok || said.state !== "seen";
  (store.disabled ? form.querySelector("[value=look]") : store).focus();
});

const removal = document.querySelector("form[data-remove]");
removal?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const [ok, said] = await post(`/api/tables/${encodeURIComponent(removal.dataset.remove)}/remove`, {});
  if (ok) location.assign("/tables");
  else fault(said);
});
