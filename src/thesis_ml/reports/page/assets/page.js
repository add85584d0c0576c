// Enlarge the figures of the page, and open its sections by address.
"use strict";

const SECTIONS = "details.section, details.panel";

function connectFigures() {
  const dialog = document.getElementById("enlarged");
  const [large, caption] = [dialog.querySelector("img"), dialog.querySelector("p")];
  for (const button of document.querySelectorAll("[data-enlarge]")) {
    button.addEventListener("click", () => {
      const image = button.querySelector("img");
      [large.src, large.alt] = [image.src, image.alt];
      caption.textContent = button.dataset.enlarge;
      dialog.showModal();
    });
  }
  dialog.querySelector("button").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) {
      dialog.close();
    }
  });
  for (const link of document.querySelectorAll("[data-image]")) {
    const image = link.closest("figure").querySelector("img");
    const kind = image.src.startsWith("data:image/svg") ? "svg" : "png";
    link.hidden = kind !== "svg";
    link.addEventListener("click", () => {
      link.href = image.src;
      link.download = `${link.dataset.image}.${kind}`;
    });
  }
}

function findTarget(hash) {
  return document.getElementById(decodeURIComponent(hash.slice(1)));
}

// A link opens the section and the panel that it leads to, and those around them.
function openTarget(target) {
  for (let part = target; part !== null; part = part.parentElement) {
    if (part.matches(SECTIONS)) {
      part.open = true;
    }
  }
}

function alignTables(part) {
  for (const table of part.querySelectorAll("table")) {
    if (table.closest("details:not([open], .columns)") === null) {
      alignTable(table);
    }
  }
}

// The address names what was opened last, and the entry of the history what else is open, for a reload.
function rememberOpen(hash) {
  const open = Array.from(document.querySelectorAll(SECTIONS)).filter((part) => part.open).map((part) => part.id);
  history.replaceState({ open }, "", hash || location.pathname + location.search);
}

function connectToggle(part) {
  part.addEventListener("toggle", () => alignTables(part));
  part.querySelector("summary").addEventListener("click", () => {
    // The part opens or closes after this event.
    setTimeout(() => {
      const isInside = part.contains(findTarget(location.hash));
      rememberOpen(part.open ? `#${part.id}` : isInside ? "" : location.hash);
    });
  });
}

function connectPrint() {
  let closed = [];
  window.addEventListener("beforeprint", () => {
    closed = Array.from(document.querySelectorAll("details.section:not([open])"));
    closed.forEach((part) => { part.open = true; });
    alignTables(document);
  });
  window.addEventListener("afterprint", () => closed.forEach((part) => { part.open = false; }));
}

function connectSections() {
  const known = history.state?.open ?? [];
  for (const part of document.querySelectorAll(SECTIONS)) {
    // They are open for those who read without a script.
    part.open = known.includes(part.id);
    connectToggle(part);
  }
  const follow = () => {
    const target = findTarget(location.hash);
    openTarget(target);
    target?.scrollIntoView();
    rememberOpen(location.hash);
  };
  document.addEventListener("click", (event) => {
    const hash = event.target.closest("a")?.hash;
    if (hash) {
      openTarget(findTarget(hash));
    }
  });
  window.addEventListener("hashchange", () => {
    openTarget(findTarget(location.hash));
    rememberOpen(location.hash);
  });
  if (location.hash) {
    follow();
  }
  alignTables(document);
}

connectFigures();
connectPrint();
connectSections();
