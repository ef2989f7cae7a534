// Tables: facts of the runs, differences of their configs, metrics, accuracy by class.
function table(label, headings, rows, high = false) {
  const cells = row => row.map((cell, i) => cell instanceof Node ? cell : i ? el('td', {}, cell) : el('th', {scope: 'row'}, cell));
  const body = el('tbody', {}, rows.map(row => el('tr', {}, cells(row))));
  const head = headings.map(one => one instanceof Node ? one : el('th', {scope: 'col'}, one));
  const node = el('table', {}, el('thead', {}, el('tr', {}, head)), body);
  return el('div', {class: high ? 'scroll high' : 'scroll', tabindex: 0, role: 'region', 'aria-label': label}, node);
}

const named = () => report.runs.map((run, number) => el('th', {scope: 'col'}, swatch(number), run.name));

// The metrics that people ask for first.
const HEADLINE = ['knn/top1_k1', 'linear/top1', 'probe/top1', 'finetune/top1', 'topk/top1'];

function figures(run) {
  const found = [];
  for (const {columns, rows} of report.numbers.tables) {
    const row = rows.find(one => one.run === run && !one.untrained), raw = rows.find(one => one.untrained && one.name.includes('raw coordinates'));
    if (!row) continue;
    columns.forEach(({metric, heading}, i) => {
      if (!HEADLINE.includes(metric) || row.values[i] === null) return;
      const beside = raw && raw.values[i] !== null ? `raw coordinates ${percent(raw.values[i])}` : '';
      found.push(el('div', {class: 'figure'}, el('span', {class: 'value'}, percent(row.values[i])), el('span', {}, heading), el('span', {class: 'note'}, beside)));
    });
    break;
  }
  return found.length ? el('div', {class: 'figures'}, report.runs.length > 1 ? el('h3', {}, swatch(run), runName(run)) : '', found) : '';
}

function showSummary() {
  const node = section('summary', 'Summary', ...report.runs.map((_, run) => figures(run)));
  if (report.runs.length === 1) {
    node.append(el('dl', {class: 'facts'}, report.summary.map(row => el('div', {}, el('dt', {}, row.label), el('dd', {}, row.values[0])))));
  } else {
    const line = row => {
      const differs = row.values.some(value => value !== row.values[0]) ? 'differs' : '';
      return [row.label, ...row.values.map(value => el('td', {class: differs}, value || '–'))];
    };
    node.append(table('Facts of the runs', ['', ...named()], report.summary.map(line)), el('p', {class: 'note'}, 'Bold: the runs differ.'));
  }
  report.runs.forEach(run => {
    for (const part of ['checkpoint', 'config', 'training']) if (run.missing[part]) node.append(missing(`${run.name}: ${run.missing[part]}`));
    run.notes.forEach(note => node.append(missing(`${run.name}: ${note}`)));
  });
}

function showNumbers() {
  const node = section('numbers', 'Accuracy', el('p', {class: 'lead'}, 'On the test clips, in percent. Tables of different readouts or test clips must not be compared; the best number of a column is bold.'));
  report.runs.filter(run => run.missing.records).forEach(run => node.append(missing(`${run.name}: ${run.missing.records}`)));
  for (const {title, columns, rows} of report.numbers.tables) {
    const best = columns.map((column, i) => column.metric.endsWith('_std') ? null : Math.max(...rows.map(row => row.values[i] ?? -Infinity)));
    const line = row => [row.name, ...row.values.map((value, i) => el('td', {class: value === best[i] && rows.length > 1 ? 'number best' : 'number'}, percent(value)))];
    node.append(el('h3', {}, title), table(title, ['', ...columns.map(column => el('th', {scope: 'col', class: 'number'}, column.heading))], rows.map(line)));
  }
  report.numbers.notes.forEach(note => node.append(el('p', {class: 'note'}, note)));
}

function showConfigs() {
  if (report.runs.length < 2) return;
  const node = section('configs', 'Configs');
  const {reason, runs, rows, repeated} = report.configs;
  if (reason) { node.append(missing(reason)); return; }
  node.append(el('p', {class: 'lead'}, rows.length ? `${plural(rows.length, 'key')} differ${rows.length === 1 ? 's' : ''} after inheritance and overrides.` : 'The configs are equal.'));
  if (!rows.length) return;
  const headings = ['key', ...runs.map(number => el('th', {scope: 'col'}, swatch(number), runName(number)))];
  const line = row => [el('th', {scope: 'row', class: 'key'}, row.key), ...row.values.map(value => el('td', {class: 'key'}, value))];
  node.append(table('Differences of the configs', headings, rows.map(line), true));
  if (repeated) node.append(el('p', {class: 'note'}, `${plural(repeated, 'place')} only repeat one of these.`));
}

// Accuracy by class of a protocol, a column per run and one per gain; a heading sorts.
function classTable(result) {
  const shown = result.runs.filter(one => !one.reason), names = shown.length ? shown[0].classes : [];
  const gains = result.gains.filter(one => !one.reason);
  const clips = shown.length ? shown[0].confusion.map(row => row.reduce((sum, count) => sum + count, 0)) : [];
  const columns = [
    {title: 'class', value: i => names[i], cell: i => el('th', {scope: 'row'}, names[i])},
    {title: 'clips', value: i => clips[i], cell: i => el('td', {class: 'number'}, String(clips[i]))},
    ...shown.map(one => ({title: runName(one.run), run: one.run, value: i => one.per_class[i] ?? -1, cell: i => barCell(one.per_class[i], one.run)})),
    ...gains.map(one => ({title: `${runName(one.run)} over ${runName(one.baseline)}`, value: i => one.gains[names[i]] ?? -Infinity, cell: i => gainCell(one.gains[names[i]])})),
  ];
  const body = el('tbody'), head = el('tr');
  const sort = (column, descending) => {
    const order = names.map((_, i) => i).sort((a, b) => {
      const [x, y] = [column.value(a), column.value(b)], ascending = typeof x === 'string' ? x.localeCompare(y) : x - y;
      return (descending ? -ascending : ascending) || a - b;
    });
    body.replaceChildren(...order.map(i => el('tr', {}, columns.map(one => one.cell(i)))));
    [...head.children].forEach((cell, k) => cell.setAttribute('aria-sort', columns[k] === column ? (descending ? 'descending' : 'ascending') : 'none'));
  };
  for (const column of columns) {
    const descendingFirst = column.title !== 'class';
    const press = () => sort(column, head.children[columns.indexOf(column)].getAttribute('aria-sort') === 'none' ? descendingFirst : head.children[columns.indexOf(column)].getAttribute('aria-sort') === 'ascending');
    head.append(el('th', {scope: 'col', class: column === columns[0] ? '' : 'number'}, el('button', {type: 'button', click: press}, column.run === undefined ? '' : swatch(column.run), column.title)));
  }
  sort(gains.length ? columns.at(-1) : columns[0], gains.length > 0);
  return el('div', {class: 'scroll high', tabindex: 0, role: 'region', 'aria-label': `Accuracy by class, ${result.title}`}, el('table', {class: 'classes'}, el('thead', {}, head), body));
}

function barCell(value, run) {
  const inner = el('span'), bar = el('span', {class: 'bar', 'aria-hidden': 'true'}, inner);
  const paint = () => { inner.style.background = colour(run); };
  inner.style.width = `${value ?? 0}%`;
  paint();
  dark.addEventListener('change', paint);
  return el('td', {class: 'number'}, percent(value), bar);
}

function gainCell(value) {
  return el('td', {class: `number ${value > 0 ? 'gain' : value < 0 ? 'loss' : ''}`}, signed(value));
}
