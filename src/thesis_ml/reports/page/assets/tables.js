// The tables of the page: sorted, filtered, saved, their columns chosen and their numbers aligned at the point.
"use strict";

document.documentElement.classList.add("has-script");

const DECIMALS = /^(\(?-?\d+)((?:\.\d+)?(?:e[+-]\d+)?)(.*)$/;
const ERROR = /^([^.]*)(\..*)?$/;
const ERROR_SCALE = 1.13; // Numbers are so much larger than the errors below them, as in page.css.
const LETTER_REM = 0.5;

// A cell's number, or its text; null for what was not measured, which stands last in either direction.
function readCell(row, column) {
  const cell = row.cells[column];
  const text = cell.textContent.trim();
  if (cell.classList.contains("n")) {
    const [, digits] = /^\(?(-?[\d.]+(?:e[+-]?\d+)?)/.exec(text);
    return Number(digits + (/\)(e[+-]\d+)/.exec(text)?.[1] ?? ""));
  }
  return text === "" ? null : text;
}

function compareValues(first, second) {
  if (typeof first === "number" && typeof second === "number") {
    return first - second;
  }
  return String(first).localeCompare(String(second), "en", { numeric: true });
}

// The heads that stand directly above the columns, the first of which may be higher than the others.
function listHeads(table) {
  const rows = Array.from(table.tHead.rows);
  return rows.length === 1 ? Array.from(rows[0].cells) : [rows[0].cells[0], ...rows[1].cells];
}

function sortRows(table, heads, place) {
  const header = heads[place];
  const isDescending = header.getAttribute("aria-sort") === "ascending";
  const sign = isDescending ? -1 : 1;
  const keyed = Array.from(table.tBodies[0].rows, (row) => ({ row, value: readCell(row, place) }));
  keyed.sort((first, second) => {
    if (first.value === null || second.value === null) {
      return (first.value === null) - (second.value === null);
    }
    return sign * compareValues(first.value, second.value);
  });
  for (const other of heads) {
    other.removeAttribute("aria-sort");
  }
  header.setAttribute("aria-sort", isDescending ? "descending" : "ascending");
  table.tBodies[0].append(...keyed.map((entry) => entry.row));
}

// A row stays when it holds every word that was typed.
function filterRows(table, text, count) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const rows = Array.from(table.tBodies[0].rows);
  for (const row of rows) {
    const content = Array.from(row.cells, (cell) => cell.textContent).join(" ").toLowerCase();
    row.hidden = !words.every((word) => content.includes(word));
  }
  const shown = rows.filter((row) => !row.hidden).length;
  count.textContent = words.length ? `${shown} of ${rows.length} rows` : `${rows.length} rows`;
}

// One checkbox shows and hides neighbouring columns, and the head that spans them.
function showColumns(table, box) {
  const [first, last] = box.value.split("-").map(Number);
  const heads = listHeads(table);
  for (let place = first; place <= last; place += 1) {
    heads[place].hidden = !box.checked;
    for (const row of table.tBodies[0].rows) {
      row.cells[place].hidden = !box.checked;
    }
  }
  if (table.tHead.rows.length > 1) {
    table.tHead.rows[0].cells[Number(box.dataset.span)].hidden = !box.checked;
  }
}

// Spans of the parts of a number, each as wide as that of the longest number of the column.
function splitNumber(parts, widths, scale) {
  return parts.map((part, place) => {
    const span = document.createElement("span");
    span.textContent = part;
    span.style.minWidth = `${widths[place] * scale}ch`;
    return span;
  });
}

// The numbers of a column are aligned at the point, the errors below them too, and letters stand behind both.
function alignColumn(cells) {
  const parts = cells.map((cell) => DECIMALS.exec(cell.firstChild.textContent.trim())?.slice(1).map((part) => part ?? ""));
  if (parts.includes(undefined)) {
    return;
  }
  const widths = [0, 1, 2].map((place) => Math.max(...parts.map((part) => part[place].length)));
  const most = Math.max(...cells.map((cell) => cell.querySelector("sup")?.textContent.length ?? 0));
  cells.forEach((cell, place) => {
    const [error, mark] = [cell.querySelector("small"), cell.querySelector("sup") ?? document.createElement("sup")];
    mark.style.minWidth = `${LETTER_REM * most}rem`;
    cell.replaceChildren(...splitNumber(parts[place], widths, 1), ...(most ? [mark] : []), ...(error ? [" ", error] : []));
    cell.classList.add("aligned");
    if (error) {
      const [, before, behind] = ERROR.exec(error.textContent);
      error.replaceChildren(before, ...splitNumber([behind ?? ""], [widths[1]], ERROR_SCALE));
      error.style.marginRight = `${LETTER_REM * most}rem`;
    }
  });
}

function alignTable(table) {
  if (table.classList.contains("heat")) {
    // The names of groups stay in view, right of the first column.
    table.style.setProperty("--first", `${table.tHead.rows[0].cells[0].offsetWidth}px`);
    return;
  }
  if (table.dataset.aligned !== undefined) {
    return;
  }
  table.dataset.aligned = "";
  const rows = Array.from(table.tBodies[0].rows);
  for (let place = 0; place < (rows[0]?.cells.length ?? 0); place += 1) {
    const cells = rows.map((row) => row.cells[place]).filter((cell) => cell.classList.contains("n"));
    if (cells.length) {
      alignColumn(cells);
    }
  }
}

// A table as csv, with the digits that are shown; a text that a spreadsheet would compute is quoted.
function formatCsv(table) {
  const heads = listHeads(table).map((head) => head.dataset.title ?? head.textContent.trim());
  const rows = Array.from(table.tBodies[0].rows, (row) => Array.from(row.cells, readText));
  const guard = (text) => (/^[=+\-@]/.test(text) && Number.isNaN(Number(text)) ? `'${text}` : text);
  return [heads, ...rows].map((row) => row.map((text) => `"${guard(text).replaceAll('"', '""')}"`).join(",")).join("\n");
}

// The text of a cell without the letters in it.
function readText(cell) {
  return Array.from(cell.childNodes, (node) => (node.nodeName === "SUP" ? "" : node.textContent)).join("").trim();
}

function save(name, content, kind) {
  const link = document.createElement("a");
  link.href = `data:${kind};charset=utf-8,${encodeURIComponent(content)}`;
  link.download = name;
  link.click();
}

function connectTables() {
  for (const table of document.querySelectorAll("table")) {
    const heads = listHeads(table);
    heads.forEach((head, place) => {
      head.querySelector("button").addEventListener("click", () => sortRows(table, heads, place));
    });
  }
  const find = (element, kind) => document.getElementById(element.dataset[kind]);
  for (const input of document.querySelectorAll("[data-filter]")) {
    const count = document.querySelector(`[data-count="${input.dataset.filter}"]`);
    input.addEventListener("input", () => filterRows(find(input, "filter"), input.value, count));
  }
  for (const box of document.querySelectorAll("[data-column]")) {
    box.addEventListener("change", () => showColumns(find(box, "column"), box));
  }
  for (const button of document.querySelectorAll("[data-csv]")) {
    const name = `${button.dataset.csv.replace(/-table$/, "")}.csv`;
    button.addEventListener("click", () => save(name, formatCsv(find(button, "csv")), "text/csv"));
  }
}

// A list of columns closes when the reader goes on.
function connectChoices() {
  const choices = document.querySelectorAll("details.columns");
  const close = (isLeft) => choices.forEach((part) => { part.open = part.open && !isLeft(part); });
  document.addEventListener("click", (event) => close((part) => !part.contains(event.target)));
  document.addEventListener("keydown", (event) => {
    const part = event.target.closest("details.columns");
    if (event.key === "Escape" && part !== null) {
      part.open = false;
      part.querySelector("summary").focus();
    }
  });
}

connectTables();
connectChoices();
