// Sorts the main table by the column whose heading is pressed, rows without a number last either way; without scripts the table stays in the study's order.
for (const table of document.querySelectorAll("table[data-sortable]")) {
  const body = table.tBodies[0];
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => {
    if (!heading.dataset.sort) return;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const direction = heading.getAttribute("aria-sort") === "ascending" ? -1 : 1;
      headings.forEach((other) => other.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", direction === 1 ? "ascending" : "descending");
      const key = (row) => row.cells[column].dataset.key;
      const compare = heading.dataset.sort === "number" ? (a, b) => key(a) - key(b) : (a, b) => key(a).localeCompare(key(b));
      const nothing = (row) => Number(key(row) === "");
      body.append(...[...body.rows].sort((a, b) => nothing(a) - nothing(b) || direction * compare(a, b)));
    });
  });
}
