// A chosen clip in motion, for each run beside its nearest neighbours; joints have the colour of the mask.
const ABSENT = -32768;

class Player {
  constructor(scene) {
    Object.assign(this, {scene, share: 0, running: false, last: null, shown: []});
    this.view = {yaw: 25 * Math.PI / 180, pitch: 8 * Math.PI / 180};
    this.node = el('div', {class: 'player', role: 'group', 'aria-label': 'Chosen clip'}, el('p', {class: 'missing'}, 'No clip is chosen.'));
    this.chosen = null;
    scene.listeners.push(() => { if (scene.chosen !== this.chosen) this.open(scene.chosen); });
    dark.addEventListener('change', () => this.draw());
  }

  // Coordinates and masks are read when they are first needed.
  get motion() {
    return this.read ||= JSON.parse(document.getElementById(`motion-${this.scene.number}`).textContent);
  }

  clip(row) {
    const [persons, frames, reach, scale, text] = this.motion.clips[row], {dimensions, joints, up} = this.scene;
    const bytes = bytesOf(text), stored = new DataView(bytes.buffer), values = new Float32Array(bytes.length / 2);
    for (let i = 0; i < values.length; i++) {
      const step = stored.getInt16(2 * i, true);
      values[i] = step === ABSENT ? NaN : step * scale;
    }
    return {shape: [persons, frames, joints.length, dimensions], values, centre: [0, 0, 0].slice(0, dimensions), reach, up, stream: 'joint'};
  }

  // Colour of a joint: that of its mask, or null where the network has none.
  maskColours(run, row) {
    const masks = this.motion.masks[run];
    if (!masks || masks[row] === undefined) return () => null;
    const bytes = bytesOf(masks[row]), V = this.scene.joints.length, persons = this.motion.clips[row][0];
    const T = bytes.length / V / persons;
    return (m, v, share) => ramp(bytes[(m * T + Math.min(T - 1, Math.floor(share * T))) * V + v] / 255);
  }

  open(row) {
    Object.assign(this, {chosen: row, share: 0, shown: []});
    if (row === null) return;
    this.node.replaceChildren(el('h3', {}, this.scene.describe(row)), el('p', {class: 'note'}, this.scene.name[row]), this.transport(), el('div', {class: 'runs'}, this.scene.maps.map(map => el('div', {}, this.ofRun(map, row)))));
    this.run(!still.matches);
    this.draw();
  }

  transport() {
    this.button = el('button', {type: 'button', class: 'primary', click: () => this.run(!this.running)}, 'Play');
    this.slider = el('input', {type: 'range', min: 0, max: 1, step: 'any', value: 0, 'aria-label': 'Time', input: () => { this.run(false); this.seek(Number(this.slider.value)); }});
    this.counter = el('output', {class: 'count frame'});
    const step = (by, text, name) => el('button', {type: 'button', 'aria-label': name, click: () => { this.run(false); this.step(by); }}, text);
    return el('div', {class: 'transport'}, this.button, step(-1, '‹', 'Previous frame'), step(1, '›', 'Next frame'), this.slider, this.counter);
  }

  ofRun(map, row) {
    const {scene} = this, masked = scene.masks[map.run], several = scene.maps.length > 1;
    const parts = map.neighbours[row].map((neighbour, k) => this.neighbour(map, row, neighbour, k));
    const right = map.neighbours[row].filter((_, k) => scene.isRight(map, row, k)).length;
    const title = el('h3', {}, several ? swatch(map.run) : '', several ? `${runName(map.run)}: ` : '', `${right} of ${plural(parts.length, 'nearest training clip')} ${right === 1 ? 'has' : 'have'} its class`);
    const digits = masked && masked.high - masked.low < 0.05 ? 4 : 2;
    const caption = masked ? [el('figcaption', {class: 'scale'}, `mask ${masked.low.toFixed(digits)}`, rampBar(), masked.high.toFixed(digits))] : [];
    return [title, el('div', {class: 'stage'}, el('figure', {class: 'query'}, this.stage(map.run, row, `The chosen clip, ${scene.describe(row)}`), ...caption), el('div', {class: 'neighbours'}, parts))];
  }

  neighbour(map, row, neighbour, k) {
    const {scene} = this, right = scene.isRight(map, row, k), name = scene.classes[scene.label[neighbour]];
    const verdict = right === null ? '' : right ? 'right ✓' : 'wrong ✗';
    const canvas = neighbour < scene.moving ? this.stage(map.run, neighbour, `Neighbour ${k + 1}, ${scene.describe(neighbour)}`, 0.6) : el('p', {class: 'missing'}, 'motion not stored');
    return el('figure', {class: right === null ? '' : right ? 'right' : 'wrong', title: scene.name[neighbour]}, canvas,
      el('figcaption', {}, el('span', {class: 'verdict'}, verdict), ` ${name}`, el('br'), el('span', {class: 'count'}, map.similarity[row][k].toFixed(3))));
  }

  stage(run, row, label, size = 1) {
    const canvas = el('canvas', {role: 'img', tabindex: size === 1 ? 0 : null, 'aria-label': `${label}. ${size === 1 ? 'Left and right keys turn it, space plays or stops.' : ''}`});
    const joint = this.maskColours(run, row);
    const masked = Boolean(this.motion.masks[run]);
    const skeleton = new Skeleton(canvas, this.clip(row), {bones: this.scene.bones, smooth: true, person: m => colour(m), joint});
    const redraw = crisp(canvas, (_, width) => {
      Object.assign(skeleton.look, {radius: width * (masked ? 0.017 : 0.011), width: width * 0.011, bone: masked ? css('soft') : null, floor: css('line')});
      skeleton.draw(this.share, this.view);
    });
    canvas.addEventListener('pointerdown', event => canvas.setPointerCapture(event.pointerId));
    canvas.addEventListener('pointermove', event => {
      if (event.buttons) this.turn(event.movementX / 100, event.movementY / 150);
    });
    canvas.addEventListener('keydown', event => {
      const by = {ArrowLeft: [-0.15, 0], ArrowRight: [0.15, 0], ArrowUp: [0, -0.1], ArrowDown: [0, 0.1]}[event.key];
      if (by) { event.preventDefault(); this.turn(...by); }
      if (event.key === ' ') { event.preventDefault(); this.run(!this.running); }
    });
    this.shown.push({skeleton, redraw});
    return canvas;
  }

  turn(yaw, pitch) {
    this.view.yaw += yaw;
    this.view.pitch = Math.max(-0.4, Math.min(1.4, this.view.pitch + pitch));
    this.node.dataset.yaw = this.view.yaw.toFixed(3);
    this.draw();
  }

  run(on) {
    this.running = on;
    this.button.textContent = on ? 'Pause' : 'Play';
    if (on && !this.waiting) { this.waiting = true; this.last = null; requestAnimationFrame(now => this.tick(now)); }
  }

  tick(now) {
    this.waiting = false;
    if (!this.running) return;
    if (this.last !== null) this.seek((this.share + (now - this.last) / 1000 / Math.max(0.5, this.scene.seconds[this.chosen])) % 1);
    this.last = now;
    this.waiting = true;
    requestAnimationFrame(later => this.tick(later));
  }

  step(by) {
    const {skeleton} = this.shown[0], T = skeleton.clip.shape[1];
    this.seek(((skeleton.frame(this.share) + by + T) % T + 0.01) / T);
  }

  seek(share) {
    this.share = share;
    this.draw();
  }

  draw() {
    if (!this.shown.length) return;
    this.shown.forEach(one => one.redraw());
    const {skeleton} = this.shown[0];
    this.slider.value = this.share;
    const text = `frame ${skeleton.frame(this.share) + 1} of ${skeleton.clip.shape[1]}`;
    if (this.counter.textContent !== text) this.counter.textContent = text;
  }
}

function ramp(value) {
  const {mask_colours: stops} = report, last = stops.length - 1;
  return stops[Math.round(value * last)];
}

function rampBar() {
  const bar = el('span', {class: 'ramp', 'aria-hidden': 'true'});
  bar.style.background = `linear-gradient(to right, ${report.mask_colours.join(', ')})`;
  return bar;
}
