// The page is whole without this script. It sorts, filters and copies tables, hides variants, and opens the section of a link.

const make = (tag, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
};

// Sorting: rows without a number are last, either way.
const sortable = (table) => {
  const body = table.tBodies[0];
  [...table.tHead.rows[0].cells].forEach((heading, column) => {
    if (!heading.dataset.sort) return;
    const button = make("button", { type: "button" }, ...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const direction = heading.getAttribute("aria-sort") === "ascending" ? -1 : 1;
      table.querySelectorAll("[aria-sort]").forEach((other) => other.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", direction === 1 ? "ascending" : "descending");
      const key = (row) => row.cells[column].dataset.key;
      const isNumber = heading.dataset.sort === "number";
      const compare = isNumber ? (a, b) => key(a) - key(b) : (a, b) => key(a).localeCompare(key(b));
      const nothing = (row) => Number(key(row) === "");
      body.append(...[...body.rows].sort((a, b) => nothing(a) - nothing(b) || direction * compare(a, b)));
    });
  });
};

// Copying: the rows in sight, in their order; small print follows its number in brackets.
const textOf = (cell) => {
  const copy = cell.cloneNode(true);
  const quiet = [...copy.querySelectorAll(".quiet")].map((each) => (each.remove(), each.textContent.trim()));
  return [copy.textContent.trim(), ...quiet.filter(Boolean).map((each) => `(${each})`)].join(" ").replace(/\s+/g, " ");
};

const rowsOf = (table) => {
  const heads = [...table.tHead.rows[0].cells];
  const kept = heads.map((cell, column) => column).filter((column) => heads[column].dataset.copy !== "skip");
  const rows = [table.tHead.rows[0], ...[...table.tBodies[0].rows].filter((row) => row.getClientRects().length)];
  return rows.map((row) => kept.map((column) => textOf(row.cells[column])));
};

const LATEX = { "\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}", "−": "$-$", "±": "$\\pm$", "—": "---", "<": "\\textless{}", ">": "\\textgreater{}" };
const latex = (text) => text.replace(/[\\~^−±—<>]|[#$%&_{}]/g, (sign) => LATEX[sign] ?? `\\${sign}`);
const quoted = (text) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

const FORMATS = {
  Markdown: ([head, ...rows]) => {
    const line = (cells) => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
    return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
  },
  CSV: (rows) => rows.map((cells) => cells.map(quoted).join(",")).join("\n"),
  LaTeX: ([head, ...rows]) => {
    const line = (cells) => `${cells.map(latex).join(" & ")} \\\\`;
    const lines = ["\\toprule", line(head), "\\midrule", ...rows.map(line), "\\bottomrule"];
    return [`\\begin{tabular}{l${"r".repeat(head.length - 1)}}`, ...lines, "\\end{tabular}"].join("\n");
  },
};

const copied = async (text, button) => {
  const label = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Some browsers give a page from a file no clipboard.
    const area = make("textarea", { value: text });
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  button.textContent = "copied";
  setTimeout(() => (button.textContent = label), 1200);
};

const copier = (label, name, text) => {
  const button = make("button", { type: "button" }, label);
  button.setAttribute("aria-label", name);
  button.addEventListener("click", () => copied(text(), button));
  return button;
};

// Filtering: a row stays if it has the typed text.
const FILTERED = "filtered";
const filter = (table, name) => {
  const input = make("input", { type: "search", placeholder: "filter rows" });
  input.setAttribute("aria-label", `Filter ${name}`);
  input.addEventListener("input", () => {
    const wanted = input.value.trim().toLowerCase();
    for (const row of table.tBodies[0].rows) {
      row.classList.toggle(FILTERED, !row.textContent.toLowerCase().includes(wanted));
      show(row);
    }
  });
  return input;
};

// Hiding variants: in every table and figure that has a part of them.
const hidden = new Set();
const show = (element) => {
  const gone = hidden.has(element.dataset.variant) || element.classList.contains(FILTERED);
  element.toggleAttribute("hidden", gone);
  if (element instanceof SVGElement) element.style.display = gone ? "none" : "";
};

const togglers = (names) => {
  const tools = make("div", { className: "tools" }, "show");
  tools.setAttribute("role", "group");
  tools.setAttribute("aria-label", "Variants in sight");
  for (const name of names) {
    const button = make("button", { type: "button" }, name);
    button.setAttribute("aria-pressed", "true");
    button.addEventListener("click", () => {
      const isShown = hidden.delete(name);
      if (!isShown) hidden.add(name);
      button.setAttribute("aria-pressed", String(isShown));
      for (const element of document.querySelectorAll("[data-variant]")) {
        if (element.dataset.variant === name) show(element);
      }
    });
    tools.append(button);
  }
  return tools;
};

// Sections: a link to one opens it.
const reveal = () => {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  for (let at = target; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
  target?.scrollIntoView();
};

for (const table of document.querySelectorAll("table[data-table]")) {
  const name = table.dataset.table;
  sortable(table);
  const copiers = Object.entries(FORMATS).map(([format, text]) => copier(format, `Copy ${name} as ${format}`, () => text(rowsOf(table))));
  const filters = table.tBodies[0].rows.length > 4 ? [filter(table, name)] : [];
  table.closest(".scroll, .forest").after(make("div", { className: "tools" }, ...filters, "copy as", ...copiers));
}
const names = [...new Set([...document.querySelectorAll("[data-table=variants] tr[data-variant]")].map((row) => row.dataset.variant))];
if (names.length > 2) document.querySelector(".contents")?.append(togglers(names));
for (const command of document.querySelectorAll(".command")) command.after(copier("copy", "Copy the commands", () => command.textContent));
addEventListener("hashchange", reveal);
if (location.hash) reveal();
