// SPDX-License-Identifier: GPL-2.0-only
/** The blackboard: the stage's tables as boxes with arrows, drawn from the tables themselves. */
import type { Focus } from '../app/store';
import {
  BOX_WIDTH,
  CHIP_HEIGHT,
  CHIP_WIDTH,
  HEAD_HEIGHT,
  pictureOf,
  ROW_HEIGHT,
  type Arrow,
  type Box,
  type Chip,
  type Picture,
  type Row,
} from '../model/picture';
import type { Checkpoint } from '../model/boot';
import type { Difference } from '../model/diff';
import { hex } from '../model/hex';
import { structureName } from '../model/level';
import { h, svg } from './dom';
import type { Context, View } from './view';

const MARGIN = 14;
const MAX_REMOVED = 4;
const SIGNS = { added: '+', removed: '−', changed: '~' } as const;

export class BoardView implements View {
  readonly element: HTMLElement;
  private readonly holder = h('div', {
    class: 'board-holder',
    tabindex: 0,
    role: 'region',
    'aria-label': 'Picture of the tables',
  });
  private readonly loose: HTMLInputElement;
  private readonly since = h('span', {});
  private readonly removed = h('p', { class: 'board-gone quiet' });
  private drawn = '';

  constructor(private readonly context: Context) {
    this.loose = h('input', { type: 'checkbox', onchange: () => context.store.update({ loose: this.loose.checked }) });
    this.element = h(
      'section',
      { class: 'board', 'aria-label': 'Blackboard' },
      h(
        'div',
        { class: 'board-tools' },
        h('label', { class: 'check' }, this.loose, 'also named tables that no root reaches'),
        h(
          'span',
          { class: 'quiet' },
          h('b', { class: 'sign added' }, '+'),
          ' new, ',
          h('b', { class: 'sign changed' }, '~'),
          ' changed since ',
          this.since,
        ),
        h('button', { class: 'small', onclick: () => this.save() }, 'Save as SVG'),
      ),
      this.removed,
      this.holder,
    );
  }

  render(focus: Focus): void {
    this.loose.checked = focus.state.loose;
    const key = `${focus.checkpoint.index}.${this.loose.checked}`;
    if (key !== this.drawn) {
      this.drawn = key;
      const focused = document.activeElement?.getAttribute('data-entry');
      this.holder.replaceChildren(this.draw(focus, pictureOf(focus.checkpoint, this.loose.checked)));
      if (focused) this.holder.querySelector<SVGElement>(`[data-entry="${focused}"]`)?.focus();
    }
    this.highlight(focus);
    this.signs(focus);
  }

  /** Marks what is new or changed since the checkpoint before, or the one compared with. */
  private signs(focus: Focus): void {
    const { from, difference } = this.context.store.changes(focus);
    this.since.textContent = from ? from.title : 'the beginning';
    this.removed.replaceChildren(...this.removedText(from, focus.checkpoint, difference));
    const changes = (difference?.changes ?? []).filter((change) => !change.adOnly);
    for (const mark of this.holder.querySelectorAll<SVGElement>('[data-mark]')) {
      const [pa, first, count] = (mark.dataset['mark'] as string).split('.') as [string, string, string];
      const end = Number(first) + Number(count);
      const hit = changes.find(
        (change) =>
          change.tablePa.toString(16) === pa && change.index < end && change.index + change.count > Number(first),
      );
      mark.setAttribute('class', `row-sign ${hit?.kind ?? ''}`);
      mark.textContent = hit ? SIGNS[hit.kind] : '';
    }
  }

  /** What is gone is in no box: it is said. */
  private removedText(from: Checkpoint | null, now: Checkpoint, difference: Difference | null): (Node | string)[] {
    const gone = (difference?.changes ?? []).filter(({ kind }) => kind === 'removed');
    if (gone.length === 0) return [];
    const names = gone.slice(0, MAX_REMOVED).map(({ tablePa, level, index, count }) => {
      const table = now.tableName(tablePa) ?? from?.tableName(tablePa) ?? `${structureName(level)} ${hex(tablePa)}`;
      return `${table}[${index}${count > 1 ? `…${index + count - 1}` : ''}]`;
    });
    const more = gone.length > MAX_REMOVED ? ` and ${gone.length - MAX_REMOVED} more` : '';
    return [h('b', { class: 'sign removed' }, '−'), ` gone: ${names.join(', ')}${more}`];
  }

  private draw(focus: Focus, picture: Picture): SVGElement {
    const width = picture.width + 2 * MARGIN;
    const height = picture.height + 2 * MARGIN;
    const title = `Page tables at ${focus.checkpoint.title}`;
    const root = svg(
      'svg',
      {
        class: 'board-svg',
        viewBox: `${-MARGIN} ${-MARGIN} ${width} ${height}`,
        width,
        height,
        role: 'group',
        'aria-label': title,
      },
      svg('title', {}, title),
      svg('defs', {}, marker('arrow', 'arrow-head'), marker('arrow-lit', 'arrow-head lit')),
    );
    for (const arrow of picture.arrows) root.append(drawArrow(arrow));
    for (const chip of picture.chips) root.append(drawChip(chip));
    for (const box of picture.boxes) root.append(this.drawBox(box));
    return root;
  }

  private drawBox(box: Box): SVGElement {
    const group = svg(
      'g',
      { class: `box level-${box.level}${box.reachable ? '' : ' loose'}`, role: 'group', 'aria-label': box.title },
      svg('rect', { class: 'box-frame', x: box.x, y: box.y, width: BOX_WIDTH, height: box.height, rx: 6 }),
      svg('path', {
        class: 'box-band',
        d: `M${box.x},${box.y + 6} a6,6 0 0 1 6,-6 h${BOX_WIDTH - 12} a6,6 0 0 1 6,6 z`,
      }),
      svg('text', { class: 'box-title', x: box.x + 12, y: box.y + 22 }, box.title),
      svg('text', { class: 'box-sub', x: box.x + 12, y: box.y + 37 }, box.subtitle),
    );
    for (const row of box.rows) group.append(this.drawRow(box, row));
    if (box.rows.length === 0)
      group.append(svg('text', { class: 'row-flags', x: box.x + 12, y: box.y + HEAD_HEIGHT + 15 }, 'all zero'));
    return group;
  }

  private drawRow(box: Box, row: Row): SVGElement {
    const y = row.y + 15;
    const flags = row.note && row.flags.length > 12 ? row.flags.replace(/ (A|D)\b/g, '') : row.flags;
    const parts = [
      svg('rect', { class: 'row-back', x: box.x + 4, y: row.y, width: BOX_WIDTH - 8, height: ROW_HEIGHT, rx: 3 }),
      svg(
        'text',
        { y },
        svg('tspan', { x: box.x + 9, 'data-mark': `${box.pa.toString(16)}.${row.index}.${row.count}` }),
        svg('tspan', { class: 'row-label', x: box.x + 22 }, row.label),
        ' ',
        svg('tspan', { class: 'row-note', x: box.x + 92 }, row.note),
        ' ',
        svg('tspan', { class: 'row-flags', x: box.x + BOX_WIDTH - 10, 'text-anchor': 'end' }, flags),
      ),
    ];
    if (row.index < 0) return svg('g', {}, ...parts);
    const choose = (): void =>
      this.context.store.selectEntry(this.context.store.focus().checkpoint, box.pa, box.level, row.index);
    return svg(
      'g',
      {
        class: 'row',
        role: 'button',
        tabindex: 0,
        'data-entry': `${box.pa.toString(16)}.${row.index}`,
        'data-count': row.count,
        onclick: choose,
        onkeydown: (event: KeyboardEvent) => {
          if (event.key !== 'Enter' && event.key !== ' ') return;
          event.preventDefault();
          choose();
        },
      },
      ...parts,
    );
  }

  private highlight(focus: Focus): void {
    const path = focus.state.entry
      ? [{ pa: focus.state.entry.pa, index: focus.state.entry.index }]
      : focus.walk.steps.map((step) => ({ pa: step.tablePa, index: step.index }));
    const chosen = focus.entry && { pa: focus.entry.tablePa, index: focus.entry.index };
    for (const group of this.holder.querySelectorAll<SVGElement>('[data-entry]')) {
      const [pa, first] = (group.dataset['entry'] as string).split('.') as [string, string];
      const inside = (place: { pa: bigint; index: number }): boolean =>
        place.pa.toString(16) === pa &&
        place.index >= Number(first) &&
        place.index < Number(first) + Number(group.dataset['count']);
      group.classList.toggle('lit', path.some(inside));
      group.classList.toggle('chosen', chosen !== null && inside(chosen));
    }
    for (const arrow of this.holder.querySelectorAll<SVGElement>('[data-arrow]')) {
      const row = this.holder.querySelector<SVGElement>(`[data-entry="${arrow.dataset['arrow']}"]`);
      const lit = row?.classList.contains('lit') === true;
      arrow.classList.toggle('lit', lit);
      arrow.setAttribute('marker-end', lit ? 'url(#arrow-lit)' : 'url(#arrow)');
    }
  }

  /** The drawing as a file of its own, with the colours of the theme in force. */
  private save(): void {
    const drawing = this.holder.querySelector('svg');
    if (!drawing) return;
    const copy = drawing.cloneNode(true) as SVGElement;
    const originals = [...drawing.querySelectorAll('*')];
    [...copy.querySelectorAll('*')].forEach((element, i) => {
      const style = getComputedStyle(originals[i] as Element);
      for (const name of [
        'fill',
        'stroke',
        'stroke-width',
        'stroke-dasharray',
        'font-family',
        'font-size',
        'font-weight',
      ])
        element.setAttribute(name, style.getPropertyValue(name));
    });
    copy.setAttribute('xmlns', 'http://www.w3.org/2000/svg');
    const url = URL.createObjectURL(new Blob([new XMLSerializer().serializeToString(copy)], { type: 'image/svg+xml' }));
    h('a', { href: url, download: `${this.context.store.focus().checkpoint.name}.svg` }).click();
    URL.revokeObjectURL(url);
  }
}

const marker = (id: string, className: string): SVGElement =>
  svg(
    'marker',
    {
      id,
      class: className,
      viewBox: '0 0 10 10',
      refX: 9,
      refY: 5,
      markerWidth: 7,
      markerHeight: 7,
      orient: 'auto-start-reverse',
    },
    svg('path', { d: 'M0,0 L10,5 L0,10 z' }),
  );

function drawArrow({ from, to, tablePa, index }: Arrow): SVGElement {
  const middle = Math.max(24, (to.x - from.x) / 2);
  return svg('path', {
    class: 'arrow',
    'data-arrow': `${tablePa.toString(16)}.${index}`,
    d: `M${from.x},${from.y} C${from.x + middle},${from.y} ${to.x - middle},${to.y} ${to.x - 1},${to.y}`,
    'marker-end': 'url(#arrow)',
  });
}

function drawChip(chip: Chip): SVGElement {
  return svg(
    'g',
    { class: 'chip' },
    svg('rect', { x: chip.x, y: chip.y, width: CHIP_WIDTH, height: CHIP_HEIGHT, rx: 20 }),
    ...chip.lines.map((line, i) =>
      svg(
        'text',
        {
          class: i === 0 ? 'chip-head' : 'chip-sub',
          x: chip.x + CHIP_WIDTH / 2,
          y: chip.y + 17 + i * 15,
          'text-anchor': 'middle',
        },
        line,
      ),
    ),
  );
}
