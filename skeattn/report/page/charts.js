// Curves by epoch, with a line per run; a pointer or the arrow keys read the values at an epoch.
const CHART = {width: 360, height: 210, left: 42, right: 10, top: 8, bottom: 26};

function ticks(low, high, count) {
  const rough = (high - low) / count || 1, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find(factor => factor * power >= rough) * power;
  const values = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; k++) values.push(k * step);
  return values;
}

const short = value => Math.abs(value) >= 1000 || (value && Math.abs(value) < 0.01) ? value.toExponential(1) : String(Number(value.toFixed(3)));

function range(values) {
  const known = values.filter(value => value !== null);
  if (!known.length) return [0, 1];
  const low = Math.min(...known), high = Math.max(...known), margin = (high - low) * 0.06 || Math.abs(high) * 0.1 || 1;
  return [low - margin, high + margin];
}

function chart({title, series}) {
  const {width, height, left, right, top, bottom} = CHART;
  const [xLow, xHigh] = [Math.min(...series.map(one => one.x[0])), Math.max(...series.map(one => one.x.at(-1)))];
  const [yLow, yHigh] = range(series.flatMap(one => one.y));
  const px = x => left + (width - left - right) * (xHigh > xLow ? (x - xLow) / (xHigh - xLow) : 0.5);
  const py = y => height - bottom - (height - top - bottom) * (y - yLow) / (yHigh - yLow);
  const cross = svg('line', {class: 'cross', y1: top, y2: height - bottom, visibility: 'hidden'});
  const marks = svg('g');
  const last = series.map(one => `${runName(one.run)} ${one.y.at(-1) === null ? 'not finite' : short(one.y.at(-1))}`).join(', ');
  const picture = svg('svg', {viewBox: `0 0 ${width} ${height}`, role: 'img', tabindex: 0, 'aria-label': `${title} by epoch; last values: ${last}. Arrow keys read the values.`});
  for (const y of ticks(yLow, yHigh, 4)) {
    picture.append(svg('line', {class: 'grid', x1: left, x2: width - right, y1: py(y), y2: py(y)}), svg('text', {x: left - 6, y: py(y) + 4, 'text-anchor': 'end'}, short(y)));
  }
  picture.append(svg('text', {x: width - right, y: height - 8, 'text-anchor': 'end'}, 'epoch'));
  for (const x of ticks(xLow, xHigh, 5).filter(x => px(x) < width - right - 50)) picture.append(svg('text', {x: px(x), y: height - 8, 'text-anchor': 'middle'}, short(x)));
  for (const one of series) {
    const line = svg('path', {class: 'curve', d: path(one, px, py)});
    const dots = one.x.length === 1 ? svg('circle', {cx: px(one.x[0]), cy: py(one.y[0] ?? yLow), r: 3.5}) : svg('g');
    const paint = () => { line.style.stroke = dots.style.fill = colour(one.run); };
    paint();
    dark.addEventListener('change', paint);
    picture.append(line, dots);
  }
  picture.append(cross, marks);
  const readout = el('div', {class: 'readout', 'aria-live': 'polite'});
  const epochs = [...new Set(series.flatMap(one => one.x))].sort((a, b) => a - b);
  let at = epochs.length - 1;
  const show = index => {
    at = Math.max(0, Math.min(epochs.length - 1, index));
    const epoch = epochs[at], x = px(epoch);
    cross.setAttribute('x1', x);
    cross.setAttribute('x2', x);
    cross.setAttribute('visibility', 'visible');
    marks.replaceChildren();
    readout.replaceChildren(el('span', {}, `epoch ${short(epoch)}`));
    for (const one of series) {
      const nearest = one.x.reduce((best, value, i) => Math.abs(value - epoch) < Math.abs(one.x[best] - epoch) ? i : best, 0);
      const value = one.y[nearest];
      if (value !== null) {
        const mark = svg('circle', {cx: px(one.x[nearest]), cy: py(value), r: 3.5});
        mark.style.fill = colour(one.run);
        marks.append(mark);
      }
      readout.append(el('span', {}, swatch(one.run), value === null ? 'not finite' : short(value)));
    }
  };
  const clear = () => { cross.setAttribute('visibility', 'hidden'); marks.replaceChildren(); readout.replaceChildren(); };
  const nearestTo = event => {
    const box = picture.getBoundingClientRect(), x = (event.clientX - box.left) * width / box.width;
    return epochs.reduce((best, epoch, i) => Math.abs(px(epoch) - x) < Math.abs(px(epochs[best]) - x) ? i : best, 0);
  };
  picture.addEventListener('pointermove', event => show(nearestTo(event)));
  picture.addEventListener('pointerleave', clear);
  picture.addEventListener('focus', () => show(at));
  picture.addEventListener('blur', clear);
  picture.addEventListener('keydown', event => {
    const step = {ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity}[event.key];
    if (step) { event.preventDefault(); show(at + step); }
  });
  return el('figure', {class: 'chart'}, el('h3', {}, title), picture, readout);
}

function path({x, y}, px, py) {
  let text = '', pen = 'M';
  x.forEach((at, i) => {
    if (y[i] === null) { pen = 'M'; return; }
    text += `${pen}${px(at).toFixed(1)} ${py(y[i]).toFixed(1)}`;
    pen = 'L';
  });
  return text;
}

function showCurves() {
  const node = section('curves', 'Training');
  report.runs.filter(run => run.missing.log).forEach(run => node.append(missing(`${run.name}: ${run.missing.log}`)));
  if (!report.curves.length) return;
  if (report.runs.length > 1) node.append(legend());
  const losses = report.curves.filter(one => one.kind === 'loss'), metrics = report.curves.filter(one => one.kind === 'metric');
  const first = [...losses.slice(0, 4), ...metrics.slice(0, Math.max(2, 6 - losses.length))];
  const rest = report.curves.filter(one => !first.includes(one));
  node.append(el('div', {class: 'columns'}, first.map(chart)));
  if (rest.length) {
    const inside = el('div', {class: 'columns'});
    node.append(el('details', {toggle: () => { if (!inside.childElementCount) inside.append(...rest.map(chart)); }}, el('summary', {}, `${rest.length} more`), inside));
  }
}

function legend() {
  return el('div', {class: 'legend'}, report.runs.map((run, number) => el('span', {}, swatch(number), run.name)));
}
