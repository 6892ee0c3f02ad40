// Mouse, touch and keys over a viewport. What dragging with the first button or one finger does is the mode.

const STEP = 16;

export function listen(viewport, tools) {
  const { element } = viewport;
  const pointers = new Map();
  let left = 0;
  let tapped = 0;

  const act = (mode, across, down) => {
    if (mode === "window") viewport.dragWindow(across, down);
    if (mode === "pan") viewport.move(across, down);
    if (mode === "zoom") viewport.magnify(Math.exp(-down / 200));
    if (mode !== "scroll") return;
    const room = element.clientHeight * 0.8;
    left += down / Math.max(3, Math.min(STEP, room / Math.max(1, viewport.length)));
    const steps = Math.trunc(left);
    left -= steps;
    if (steps) viewport.go(viewport.index + steps);
  };

  const modeOf = (event) => (event.buttons & 4 ? "pan" : event.buttons & 2 ? "zoom" : tools.mode());

  element.addEventListener("pointerdown", (event) => {
    if (event.target.closest("button")) return;
    element.focus({ preventScroll: true });
    element.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    left = 0;
    if (event.pointerType !== "touch" || pointers.size > 1) return;
    if (event.timeStamp - tapped < 300) viewport.reset();
    tapped = event.timeStamp;
  });

  element.addEventListener("pointermove", (event) => {
    const last = pointers.get(event.pointerId);
    if (!last) return;
    const now = { x: event.clientX, y: event.clientY };
    const across = now.x - last.x;
    const down = now.y - last.y;
    if (Math.hypot(across, down) > 4) tapped = 0;
    if (pointers.size === 2) pinch(event.pointerId, now);
    else act(modeOf(event), across, down);
    pointers.set(event.pointerId, now);
  });

  const pinch = (id, now) => {
    const other = [...pointers].find(([each]) => each !== id)[1];
    const last = pointers.get(id);
    const box = element.getBoundingClientRect();
    const ratio = distance(now, other) / Math.max(1, distance(last, other));
    viewport.move((now.x - last.x) / 2, (now.y - last.y) / 2);
    viewport.magnify(ratio, { x: (now.x + other.x) / 2 - box.left, y: (now.y + other.y) / 2 - box.top });
  };

  const end = (event) => {
    pointers.delete(event.pointerId);
    if (!pointers.size) viewport.endDrag();
  };
  element.addEventListener("pointerup", end);
  element.addEventListener("pointercancel", end);
  element.addEventListener("contextmenu", (event) => event.preventDefault());

  let turned = 0;
  element.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      if (event.ctrlKey) {
        const box = element.getBoundingClientRect();
        viewport.magnify(Math.exp(-event.deltaY / 300), { x: event.clientX - box.left, y: event.clientY - box.top });
        return;
      }
      turned += event.deltaMode ? event.deltaY * 30 : event.deltaY;
      const steps = Math.abs(turned) >= 100 ? Math.sign(turned) : Math.trunc(turned / 30);
      if (!steps) return;
      turned = 0;
      viewport.go(viewport.index + steps);
    },
    { passive: false },
  );

  const keys = {
    ArrowUp: () => viewport.go(viewport.index - 1),
    ArrowDown: () => viewport.go(viewport.index + 1),
    PageUp: () => viewport.go(viewport.index - 10),
    PageDown: () => viewport.go(viewport.index + 10),
    Home: () => viewport.go(0),
    End: () => viewport.go(viewport.length - 1),
    ArrowLeft: () => tools.series(-1),
    ArrowRight: () => tools.series(1),
    "+": () => viewport.magnify(1.25),
    "-": () => viewport.magnify(0.8),
    " ": () => tools.play(),
    i: () => viewport.invert(),
    r: () => viewport.reset(),
    s: () => tools.choose("scroll"),
    w: () => tools.choose("window"),
    m: () => tools.choose("pan"),
    z: () => tools.choose("zoom"),
    "?": () => tools.help(),
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || tools.busy()) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const own = event.target.closest("select, input, textarea, a, button, nav");
    if (own && (key.length > 1 || key === " ")) return;
    if (/^[1-9]$/.test(key)) tools.preset(Number(key) - 1);
    else if (keys[key]) keys[key]();
    else return;
    event.preventDefault();
  });
}

const distance = (one, other) => Math.hypot(one.x - other.x, one.y - other.y);
