// Belongs here: what makes the drawing of the network livelier: the slider acts at once, pointing at somebody shows whom
// it is seen with, looking closer. Without this script the page says the same, one request at a time.

const graph = document.querySelector(".graph");
const tools = document.querySelector("[data-tools]");

if (graph && tools) {
  const lines = [...graph.querySelectorAll(".edge")];
  const nodes = new Map([...graph.querySelectorAll(".node")].map((node) => [node.dataset.key, node]));
  const least = tools.querySelector("[data-least]");
  const said = tools.querySelector("[data-least-said]");
  const count = tools.querySelector("[data-count]");
  tools.querySelector("[data-without-script]").hidden = true;
  tools.querySelector("[data-with-script]").hidden = false;

  const choose = () => {
    const from = Number(least.value);
    let shown = 0;
    for (const line of lines) {
      const weak = Number(line.dataset.i) < from;
      line.classList.toggle("weak", weak);
      if (!weak) shown += 1;
    }
    said.textContent = from.toFixed(2);
    count.textContent = count.dataset.words.replace("{n}", shown);
  };
  least.addEventListener("input", choose);
  least.addEventListener("change", () => {
    // The address of what is seen, to be kept or sent.
    const address = new URL(location.href);
    address.searchParams.set("least", least.value);
    history.replaceState(null, "", address);
    const words = /^\/together\/(network|matrix|table)(\.\w+)?$/;
    for (const link of document.querySelectorAll("main a[href^='/together/']")) {
      const target = new URL(link.href);
      if (!words.test(target.pathname)) continue;
      target.searchParams.set("least", least.value);
      link.href = target;
    }
  });
  tools.addEventListener("submit", (event) => event.preventDefault());
  choose();

  const light = (key) => {
    graph.classList.toggle("pointed", !!key);
    const near = new Set([key]);
    for (const line of lines) {
      const own = !!key && (line.dataset.a === key || line.dataset.b === key) && !line.classList.contains("weak");
      line.classList.toggle("lit", own);
      if (own) near.add(line.dataset.a).add(line.dataset.b);
    }
    for (const [other, node] of nodes) node.classList.toggle("lit", !!key && near.has(other));
  };
  for (const [key, node] of nodes) {
    node.addEventListener("pointerenter", () => light(key));
    node.addEventListener("pointerleave", () => light(null));
    node.addEventListener("focus", () => light(key));
    node.addEventListener("blur", () => light(null));
  }

  // --- looking closer ---
  const whole = { x: 0, y: 0, w: Number(graph.dataset.width), h: Number(graph.dataset.height) };
  let box = { ...whole };
  const show = () => {
    graph.setAttribute("viewBox", `${box.x} ${box.y} ${box.w} ${box.h}`);
    const near = whole.w / box.w;
    graph.classList.toggle("near", near > 1.6);
    // Names and dots stay as large as they are on the screen; only their distances grow.
    graph.dataset.near = String(Math.min(8, Math.max(1, Math.round(near))));
  };
  const zoom = (factor, at = { x: 0.5, y: 0.5 }) => {
    const w = Math.min(whole.w, Math.max(whole.w / 8, box.w * factor));
    const h = (w * whole.h) / whole.w;
    box = { x: box.x + (box.w - w) * at.x, y: box.y + (box.h - h) * at.y, w, h };
    box.x = Math.min(Math.max(box.x, 0), whole.w - w);
    box.y = Math.min(Math.max(box.y, 0), whole.h - h);
    show();
  };
  for (const button of tools.querySelectorAll("[data-zoom]")) {
    button.addEventListener("click", () => {
      if (Number(button.dataset.zoom)) return zoom(Number(button.dataset.zoom));
      box = { ...whole };
      return show();
    });
  }
  graph.addEventListener(
    "wheel",
    (event) => {
      if (!event.ctrlKey) return; // the page scrolls; with Ctrl, or two fingers, one looks closer
      event.preventDefault();
      const place = graph.getBoundingClientRect();
      zoom(event.deltaY > 0 ? 1.15 : 0.87, { x: (event.clientX - place.x) / place.width, y: (event.clientY - place.y) / place.height });
    },
    { passive: false },
  );
  let from = null;
  graph.addEventListener("pointerdown", (event) => {
    if (box.w < whole.w && !event.target.closest(".node")) from = { x: event.clientX, y: event.clientY, box: { ...box } };
  });
  addEventListener("pointermove", (event) => {
    if (!from) return;
    const scale = box.w / graph.getBoundingClientRect().width;
    box.x = Math.min(Math.max(from.box.x - (event.clientX - from.x) * scale, 0), whole.w - box.w);
    box.y = Math.min(Math.max(from.box.y - (event.clientY - from.y) * scale, 0), whole.h - box.h);
    show();
  });
  addEventListener("pointerup", () => (from = null));
}
