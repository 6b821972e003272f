// The image of the study page: scrolls through slices, changes windows, shows and hides what lies over the image.
// Without this script the same is done by links and a form.
const AHEAD = 3; // slices on either side that are fetched before they are asked for

const KINDS = ["image", "overlay", "heat", "prior"];

class Viewer {
  constructor(stage) {
    this.stage = stage;
    this.base = stage.dataset.base;
    this.count = Number(stage.dataset.count);
    this.slice = Number(stage.dataset.slice);
    this.series = stage.dataset.series;
    this.job = stage.dataset.overlayJob;
    this.heatSlices = new Set(stage.dataset.heatSlices.split(" ").filter(Boolean).map(Number));
    this.layers = {
      image: stage.querySelector("[data-image]"),
      overlay: stage.querySelector("[data-overlay-image]"),
      heat: stage.querySelector("[data-heat-image]"),
      prior: document.querySelector("[data-prior-image]"),
    };
    // An earlier study's image of the same place, beside this one.
    this.prior = document.querySelector("[data-prior]");
    this.priorSlices = this.prior?.dataset.slices.split(" ") ?? [];
    this.place = stage.querySelector("[data-place]");
    this.window = document.querySelector("[data-window]");
    this.overlay = document.querySelector("[data-overlay]");
    this.heat = document.querySelector("[data-heat]");
    this.compare = document.querySelector("[data-compare]");
    this.opacity = document.querySelector("[data-opacity]");
    this.scroll = document.querySelector("[data-scroll]");
    this.wheel = 0;
    this.ready = new Map(); // address -> decoded Image, the oldest first
    this.wanted = false; // something else is to be shown than what is
    this.busy = false;
  }

  start() {
    for (const one of document.querySelectorAll(".scripted")) one.hidden = false;
    for (const one of document.querySelectorAll("[data-step]")) one.hidden = true;
    this.stage.addEventListener("wheel", (event) => this.onWheel(event), { passive: false });
    document.addEventListener("keydown", (event) => this.onKey(event));
    this.window.addEventListener("change", () => this.show());
    this.overlay.addEventListener("change", () => this.show());
    this.heat.addEventListener("change", () => this.show());
    this.compare?.addEventListener("change", () => this.show());
    this.opacity.addEventListener("input", () => this.fade());
    this.scroll?.addEventListener("input", () => this.go(Number(this.scroll.value)));
    document.querySelector("[data-series-choice]").addEventListener("change", (event) => event.target.form.submit());
    for (const one of document.querySelectorAll("[data-jump]")) {
      one.addEventListener("click", (event) => this.jump(event, one.dataset));
    }
    this.show();
  }

  /** A finding on the series that is shown moves the image; one elsewhere is a link to follow. */
  jump(event, to) {
    if (to.series !== this.series || (this.job && to.job !== this.job)) return;
    event.preventDefault();
    this.go(Number(to.slice));
    this.stage.focus({ preventScroll: true });
    this.stage.scrollIntoView({ block: "nearest" });
  }

  onWheel(event) {
    if (event.ctrlKey || this.count < 2) return;
    event.preventDefault();
    // A trackpad sends many small turns; a mouse a few large ones.
    this.wheel += event.deltaMode ? event.deltaY * 40 : event.deltaY;
    const steps = Math.trunc(this.wheel / 40);
    if (steps) {
      this.wheel -= steps * 40;
      this.go(this.slice + steps);
    }
  }

  onKey(event) {
    if (event.ctrlKey || event.altKey || event.metaKey || event.target.closest("input, select, textarea")) return;
    const steps = { ArrowDown: 1, ArrowUp: -1, ArrowRight: 1, ArrowLeft: -1, PageDown: 10, PageUp: -10 };
    const onStage = event.target === document.body || event.target === this.stage;
    if (event.key in steps && onStage) this.go(this.slice + steps[event.key]);
    else if (event.key === "Home" && onStage) this.go(1);
    else if (event.key === "End" && onStage) this.go(this.count);
    else if (event.key === "o") this.toggle(this.overlay);
    else if (event.key === "h") this.toggle(this.heat);
    else if (event.key === "p" && this.compare) this.toggle(this.compare);
    else if (event.key === "[") this.dim(-20);
    else if (event.key === "]") this.dim(20);
    else if (event.key === "w") this.nextWindow();
    else return;
    event.preventDefault();
  }

  toggle(box) {
    box.checked = !box.checked;
    this.show();
  }

  dim(by) {
    this.opacity.value = Number(this.opacity.value) + by;
    this.fade();
  }

  nextWindow() {
    this.window.selectedIndex = (this.window.selectedIndex + 1) % this.window.options.length;
    this.show();
  }

  go(slice) {
    const next = Math.min(Math.max(slice, 1), this.count);
    if (next === this.slice) return;
    this.slice = next;
    this.show();
  }

  address(kind, slice) {
    const place = `series/${this.series}/slices/${slice - 1}`;
    if (kind === "image") return `${this.base}/${place}.png?window=${encodeURIComponent(this.window.value)}`;
    if (kind === "overlay") return this.job && this.overlay.checked ? `${this.base}/jobs/${this.job}/${place}.svg` : null;
    if (kind === "prior") {
      if (!this.compare?.checked) return null;
      return `${this.prior.dataset.base}/${this.priorSlices[slice - 1]}.png?window=${encodeURIComponent(this.window.value)}`;
    }
    const has = this.heat.checked && this.heatSlices.has(slice - 1);
    return has ? `${this.base}/jobs/${this.stage.dataset.job}/${place}/heat.png` : null;
  }

  /** One thing at a time, the newest next: whoever scrolls on does not wait for what he has left behind. */
  async show() {
    this.wanted = true;
    if (this.scroll) this.scroll.value = this.slice;
    if (this.busy) return;
    this.busy = true;
    while (this.wanted) {
      this.wanted = false;
      await this.load();
    }
    this.busy = false;
    await this.lookAhead();
  }

  async load() {
    const slice = this.slice;
    const wanted = KINDS.map((kind) => this.address(kind, slice));
    const found = await Promise.all(wanted.map((address) => (address ? this.fetched(address) : null)));
    if (this.prior) this.prior.hidden = !this.compare.checked;
    KINDS.forEach((kind, index) => {
      if (!this.layers[kind]) return;
      this.layers[kind].hidden = !found[index];
      if (found[index]) this.layers[kind].src = wanted[index];
    });
    this.tell(slice, Boolean(found[0]));
    this.fade();
  }

  async lookAhead() {
    const slice = this.slice;
    for (let away = 1; away <= AHEAD; away++) {
      for (const near of [slice + away, slice - away]) {
        if (near < 1 || near > this.count) continue;
        if (this.busy || slice !== this.slice) return;
        const addresses = KINDS.map((kind) => this.address(kind, near)).filter(Boolean);
        await Promise.all(addresses.map((address) => this.fetched(address)));
      }
    }
  }

  /** The picture of an address once it is decoded; null where it cannot be had. */
  fetched(address) {
    if (!this.ready.has(address)) {
      const image = new Image();
      image.src = address;
      this.ready.set(address, image.decode().then(() => image, () => null));
      if (this.ready.size > 120) this.ready.delete(this.ready.keys().next().value);
    }
    return this.ready.get(address);
  }

  tell(slice, shown) {
    const { label, failed, seriesLabel } = this.stage.dataset;
    const words = label.replace("SERIES", seriesLabel).replace("NUMBER", slice).replace("COUNT", this.count);
    this.layers.image.alt = words;
    this.place.textContent = shown ? `${slice} / ${this.count}` : failed;
    const url = new URL(location.href);
    url.searchParams.set("series", this.series);
    url.searchParams.set("slice", slice);
    url.searchParams.set("window", this.window.value);
    url.searchParams.set("overlay", Number(this.overlay.checked));
    url.searchParams.set("heat", Number(this.heat.checked));
    if (this.compare) url.searchParams.set("compare", Number(this.compare.checked));
    history.replaceState(null, "", url);
  }

  fade() {
    for (const kind of ["overlay", "heat"]) this.layers[kind].style.opacity = this.opacity.value / 100;
  }
}

/** Seconds that are left to undo; the button goes when they are over. */
function countDown(form) {
  const until = performance.now() + Number(form.dataset.undo) * 1000;
  const shown = form.querySelector("[data-seconds]");
  const tick = () => {
    const left = Math.ceil((until - performance.now()) / 1000);
    if (left <= 0) form.hidden = true;
    else {
      shown.textContent = `(${left})`;
      setTimeout(tick, 250);
    }
  };
  tick();
}

const stage = document.querySelector("[data-stage]");
if (stage) new Viewer(stage).start();
document.querySelectorAll("[data-undo]").forEach(countDown);
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.target.closest("input, select, textarea")) return;
  // Of several results the one that lies over the image, else the first.
  const shown = document.getElementById(`result-${stage?.dataset.job}`) ?? document;
  const [within] = [shown, document].filter((one) => one.querySelector("[data-accept]"));
  if (event.key === "a") within?.querySelector("[data-accept]").click();
  const form = { r: "[data-reject]", c: "[data-correct]" }[event.key];
  const details = form && within?.querySelector(form);
  if (details) {
    details.open = true;
    details.querySelector("input[name=reason]").focus();
    event.preventDefault();
  }
});
