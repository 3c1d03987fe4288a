// A box drawn over a picture by pointer or arrow keys; edges in fractions of the picture.
const STEP = 0.02;
const LEAST = 0.02;

const within = (value, low, high) => Math.min(Math.max(value, low), high);

export function boxSelection(svg, changed = () => undefined) {
  const edge = svg.querySelector(".box-edge");
  const shade = svg.querySelector(".box-shade");
  let box = null;
  let from = null;

  function set(next) {
    box = next;
    const shown = next ?? { x: 0, y: 0, width: 0, height: 0 };
    for (const [name, value] of Object.entries(shown)) edge.setAttribute(name, value * 1000);
    const [x, y, w, h] = [shown.x, shown.y, shown.width, shown.height].map((n) => n * 1000);
    shade.setAttribute("d", next ? `M0 0H1000V1000H0Z M${x} ${y}h${w}v${h}h${-w}Z` : "");
    changed(get());
  }

  const get = () => (box && box.width >= LEAST && box.height >= LEAST ? box : null);

  function place(event) {
    const area = svg.getBoundingClientRect();
    return {
      x: within((event.clientX - area.left) / area.width, 0, 1),
      y: within((event.clientY - area.top) / area.height, 0, 1),
    };
  }

  svg.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    event.preventDefault();
    svg.setPointerCapture(event.pointerId);
    svg.focus();
    from = place(event);
  });
  svg.addEventListener("pointermove", (event) => {
    if (!from) return;
    const to = place(event);
    set({
      x: Math.min(from.x, to.x),
      y: Math.min(from.y, to.y),
      width: Math.abs(to.x - from.x),
      height: Math.abs(to.y - from.y),
    });
  });
  for (const end of ["pointerup", "pointercancel"]) svg.addEventListener(end, () => (from = null));

  svg.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!step) return;
    event.preventDefault();
    event.stopPropagation();
    const next = { ...(box ?? { x: 0.3, y: 0.3, width: 0.4, height: 0.4 }) };
    const [across, down] = step.map((n) => n * STEP);
    if (event.shiftKey) {
      next.width = within(next.width + across, LEAST, 1 - next.x);
      next.height = within(next.height + down, LEAST, 1 - next.y);
    } else {
      next.x = within(next.x + across, 0, 1 - next.width);
      next.y = within(next.y + down, 0, 1 - next.height);
    }
    set(next);
  });

  return { set, get, focus: () => svg.focus() };
}
