// Clips in the plane of the features: colours, filters, choice by pointer or keys.
const COLOUR_BY = ['class', 'subject', 'view', 'nearest neighbour'];

function marker(context, kind, x, y, r) {
  const polygon = points => points.forEach(([a, b], i) => context[i ? 'lineTo' : 'moveTo'](x + a * r, y + b * r));
  context.beginPath();
  if (kind === 'o') context.arc(x, y, r, 0, 7);
  else if (kind === '^') polygon([[0, -1.25], [1.1, 0.9], [-1.1, 0.9]]);
  else if (kind === 'v') polygon([[0, 1.25], [1.1, -0.9], [-1.1, -0.9]]);
  else if (kind === 's') polygon([[-0.9, -0.9], [0.9, -0.9], [0.9, 0.9], [-0.9, 0.9]]);
  else if (kind === 'D') polygon([[0, -1.3], [1.3, 0], [0, 1.3], [-1.3, 0]]);
  else if (kind === 'P') polygon([[-0.4, -1.2], [0.4, -1.2], [0.4, -0.4], [1.2, -0.4], [1.2, 0.4], [0.4, 0.4], [0.4, 1.2], [-0.4, 1.2], [-0.4, 0.4], [-1.2, 0.4], [-1.2, -0.4], [-0.4, -0.4]]);
  else polygon([...Array(kind === 'X' ? 8 : 10).keys()].map(k => { const n = kind === 'X' ? 8 : 10, a = 2 * Math.PI * (k / n) - Math.PI / 2, far = k % 2 ? 0.5 : 1.35; return [far * Math.cos(a), far * Math.sin(a)]; }));
  context.closePath();
  context.fill();
}

// The clips of one data set: filters and the chosen clip, which all its maps share.
class Scene {
  constructor(number) {
    Object.assign(this, report.map.scenes[number], {number, chosen: null, hovered: null, by: 0, listeners: []});
    this.values = {subject: this.distinct(this.subject), view: this.distinct(this.camera)};
    this.kept = {classes: new Set(this.classes.keys()), subject: null, view: null, verdict: 0};
    this.maps = report.map.runs.map((map, run) => ({...map, run})).filter(map => map.scene === number);
  }

  distinct(column) {
    return [...new Set(column.slice(0, this.on_map))].sort((a, b) => a - b);
  }

  // null where a label is unknown.
  isRight(map, i, k = 0) {
    const neighbour = map.neighbours[i][k];
    if (neighbour === undefined || this.unlabelled.includes(this.label[i]) || this.unlabelled.includes(this.label[neighbour])) return null;
    return this.label[neighbour] === this.label[i];
  }

  isVisible(map, i) {
    const {classes, subject, view, verdict} = this.kept;
    return classes.has(this.label[i]) && (subject === null || this.subject[i] === subject) && (view === null || this.camera[i] === view) && (!verdict || this.isRight(map, i) === (verdict === 1));
  }

  group(map, i) {
    if (this.by === 0) return this.label[i];
    if (this.by === 1) return this.values.subject.indexOf(this.subject[i]);
    if (this.by === 2) return this.values.view.indexOf(this.camera[i]);
    const right = this.isRight(map, i);
    return right === null ? 7 : right ? 0 : 1;
  }

  describe(i) {
    const known = (word, value) => value < 0 ? [] : [`${word} ${value}`];
    return [this.classes[this.label[i]], ...known('subject', this.subject[i]), ...known('view', this.camera[i])].join(' · ');
  }

  choose(i) {
    this.chosen = i;
    this.changed();
  }

  changed() {
    this.listeners.forEach(listener => listener());
  }
}

function showMap() {
  const node = section('map', 'Map of the clips');
  report.map.runs.forEach((map, run) => { if (map.reason) node.append(missing(`${runName(run)}: ${map.reason}`)); });
  report.map.scenes.forEach((_, number) => node.append(...sceneParts(new Scene(number))));
}

function sceneParts(scene) {
  const method = {tsne: 't-SNE', umap: 'UMAP', pca: 'first two principal components'}[report.map.method] || report.map.method;
  const clips = scene.on_map < scene.of ? `${scene.on_map} of ${scene.of}` : String(scene.on_map);
  const part = scene.part === 'train' ? 'training' : 'test';
  const text = `${clips} ${part} clips of ${scene.data} by their features (${method}). Choose one to play it beside its nearest training clips. Only neighbourhoods have a meaning, not distances between groups.`;
  const player = new Player(scene);
  const views = scene.maps.map(map => new MapView(scene, map));
  const nodes = views.map(view => view.node);
  const placed = nodes.length > 1 ? [el('div', {class: 'maps'}, nodes), player.node] : [el('div', {class: 'maps'}, nodes, player.node)];
  return [el('p', {class: 'lead'}, text), filters(scene), ...placed];
}

function filters(scene) {
  const set = change => value => { change(value); scene.changed(); };
  const pick = (label, key) => scene.values[key].some(value => value >= 0)
    ? choice(label, ['all', ...scene.values[key].map(value => value < 0 ? 'unknown' : String(value))], set(k => { scene.kept[key] = k ? scene.values[key][k - 1] : null; })) : '';
  const boxes = scene.classes.map((name, k) => {
    const box = el('input', {type: 'checkbox', checked: true, change: set(() => scene.kept.classes[box.checked ? 'add' : 'delete'](k))});
    const mark = el('canvas', {'aria-hidden': 'true'});
    crisp(mark, (context, width, height) => {
      context.clearRect(0, 0, width, height);
      context.fillStyle = colour(k);
      marker(context, MARKERS[Math.floor(k / report.colours.length) % MARKERS.length], width / 2, height / 2, width * 0.33);
    });
    return {box, label: el('label', {}, box, mark, name)};
  });
  const all = on => () => {
    boxes.forEach(({box}, k) => { box.checked = on; scene.kept.classes[on ? 'add' : 'delete'](k); });
    scene.changed();
  };
  return el('div', {},
    el('div', {class: 'controls'},
      choice('colour', COLOUR_BY, set(k => { scene.by = k; })), pick('subject', 'subject'), pick('view', 'view'),
      choice('nearest neighbour', ['all', 'right', 'wrong'], set(k => { scene.kept.verdict = k; })),
      el('button', {type: 'button', click: all(true)}, 'All classes'), el('button', {type: 'button', click: all(false)}, 'No class')),
    el('fieldset', {class: 'chips', 'aria-label': 'Classes'}, boxes.map(one => one.label)));
}

class MapView {
  constructor(scene, map) {
    Object.assign(this, {scene, map, cursor: null});
    this.canvas = el('canvas', {tabindex: 0, role: 'application', 'aria-label': `Map of ${runName(map.run)}. Arrow keys move to the next clip in that direction, Enter plays it.`});
    this.count = el('span', {class: 'count'});
    this.status = el('p', {class: 'note', 'aria-live': 'polite'}, 'Point at a clip, or use the arrow keys and Enter.');
    this.node = el('figure', {class: 'map'}, el('h3', {}, swatch(map.run), runName(map.run)), el('p', {class: 'note'}, this.count, ` · ${map.source}`), this.canvas, this.status);
    this.redraw = crisp(this.canvas, (context, width, height, ratio) => this.draw(context, width, height, ratio));
    scene.listeners.push(() => this.redraw());
    this.canvas.addEventListener('pointermove', event => this.point(this.nearest(event)));
    this.canvas.addEventListener('pointerleave', () => this.point(null));
    this.canvas.addEventListener('click', event => { const i = this.nearest(event); if (i !== null) this.open(i); });
    this.canvas.addEventListener('keydown', event => this.key(event));
  }

  visible() {
    return [...Array(this.scene.on_map).keys()].filter(i => this.scene.isVisible(this.map, i));
  }

  place(i, width, height) {
    const margin = 0.04 * width, [x, y] = this.map.points[i], size = Math.min(width, height) - 2 * margin;
    if (!this.extent) this.extent = [0, 1].map(axis => Math.max(...this.map.points.map(point => point[axis])) || 1);
    const [right, top] = this.extent, stretch = [(width - 2 * margin) / right, (height - 2 * margin) / top];
    return [margin + x * stretch[0], height - margin - y * stretch[1]];
  }

  draw(context, width, height, ratio) {
    const {scene, map} = this, shown = this.visible(), r = Math.max(2, Math.min(4, 90 / Math.sqrt(scene.on_map))) * ratio;
    context.clearRect(0, 0, width, height);
    context.globalAlpha = 0.85;
    for (const i of shown) {
      const group = scene.group(map, i), kind = scene.by === 3 ? ['o', 'X'][group] || 'o' : MARKERS[Math.floor(group / report.colours.length) % MARKERS.length];
      context.fillStyle = colour(group);
      marker(context, kind, ...this.place(i, width, height), r);
    }
    context.globalAlpha = 1;
    const ring = (i, stroke, size) => {
      if (i === null) return;
      context.strokeStyle = stroke;
      context.lineWidth = 2 * ratio;
      context.beginPath();
      context.arc(...this.place(i, width, height), size, 0, 7);
      context.stroke();
    };
    ring(scene.hovered ?? this.cursor, css('soft'), 2.2 * r);
    ring(scene.chosen, css('ink'), 2.6 * r);
    this.count.textContent = `${shown.length} of ${plural(scene.on_map, 'clip')}`;
    this.canvas.dataset.visible = shown.length;
  }

  nearest(event) {
    const box = this.canvas.getBoundingClientRect();
    let best = null, least = 22 ** 2;
    for (const i of this.visible()) {
      const [x, y] = this.place(i, box.width, box.height), away = (x - event.clientX + box.left) ** 2 + (y - event.clientY + box.top) ** 2;
      if (away < least) [best, least] = [i, away];
    }
    return best;
  }

  point(i) {
    if (i === this.scene.hovered) return;
    this.scene.hovered = i;
    if (i !== null) this.status.textContent = this.scene.describe(i);
    this.scene.changed();
  }

  open(i) {
    this.cursor = i;
    this.status.textContent = `${this.scene.describe(i)}, playing`;
    this.scene.choose(i);
  }

  key(event) {
    const step = {ArrowUp: [0, 1], ArrowDown: [0, -1], ArrowLeft: [-1, 0], ArrowRight: [1, 0]}[event.key];
    if (event.key === 'Enter' && this.cursor !== null) this.open(this.cursor);
    if (event.key === 'Escape') { this.cursor = null; this.scene.hovered = null; this.scene.changed(); }
    if (!step) return;
    event.preventDefault();
    const shown = this.visible();
    if (!shown.length) return;
    this.cursor = shown.includes(this.cursor) ? this.beside(this.cursor, step, shown) : shown[0];
    this.scene.hovered = null;
    this.status.textContent = this.scene.describe(this.cursor);
    this.scene.changed();
  }

  // The nearest visible clip in a direction: what lies aside of it counts double.
  beside(from, [dx, dy], shown) {
    const [x, y] = this.map.points[from];
    let best = from, least = Infinity;
    for (const i of shown) {
      const along = (this.map.points[i][0] - x) * dx + (this.map.points[i][1] - y) * dy;
      const aside = Math.abs((this.map.points[i][0] - x) * dy) + Math.abs((this.map.points[i][1] - y) * dx);
      if (i !== from && along > 0 && along + 2 * aside < least) [best, least] = [i, along + 2 * aside];
    }
    return best;
  }
}
