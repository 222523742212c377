// SPDX-License-Identifier: GPL-2.0-only
/** One entry: its 64 bits in the manual's words, who wrote it and when, and who else maps what it maps. */
import type { Focus, SelectedEntry } from '../app/store';
import { A, D, fieldsOf, type Field } from '../model/entry';
import { binary, bytes, hex, hexGrouped } from '../model/hex';
import { originName } from '../model/provenance';
import { entryName, linuxName, slotSize, structureName, type Level } from '../model/level';
import { linuxMeaning } from '../model/processes';
import { describe } from './bar';
import { h } from './dom';
import type { Context, View } from './view';

const ROW = 16;
const MAX_ALIASES = 6;
const MAX_WRITES = 40;

export class Inspector implements View {
  readonly element: HTMLElement;
  private readonly body = h('div', { class: 'inspector-body' });
  private readonly title = h('h2', { id: 'inspector-title' }, 'Entry');
  private marked = '';

  constructor(private readonly context: Context) {
    this.element = h(
      'section',
      { class: 'inspector panel', 'aria-labelledby': 'inspector-title' },
      h('div', { class: 'panel-head' }, this.title),
      this.body,
    );
  }

  render(focus: Focus): void {
    const { entry } = focus;
    if (!entry) {
      this.title.textContent = 'Entry';
      this.body.replaceChildren(
        h(
          'p',
          { class: 'quiet' },
          focus.state.step === 0 ? 'CR3 names the top table; no entry has been read yet.' : 'No entry is selected.',
        ),
      );
      return;
    }
    const name = focus.checkpoint.tableName(entry.tablePa) ?? `${structureName(entry.level)} at ${hex(entry.tablePa)}`;
    this.title.replaceChildren(
      `${entryName(entry.level)} ${entry.index} `,
      h('span', { class: 'of-table' }, `of ${name}`),
    );
    const fields = fieldsOf(entry.decoded.raw, entry.level, focus.checkpoint.state);
    this.body.replaceChildren(
      this.headline(focus, entry),
      this.cells(fields, entry.decoded.raw),
      this.fieldTable(fields),
      ...this.history(focus, entry),
      ...this.aliases(focus, entry),
    );
    this.mark(this.marked);
  }

  private headline(focus: Focus, entry: SelectedEntry): HTMLElement {
    const { decoded } = entry;
    const slot =
      entry.va === null ? 'no root reaches this table' : `${bytes(slotSize(entry.level))} from ${hex(entry.va)} on`;
    return h(
      'div',
      { class: 'entry-head' },
      h('div', { class: 'entry-raw num' }, hexGrouped(decoded.raw)),
      h(
        'dl',
        { class: 'facts' },
        h('dt', {}, 'is'),
        h(
          'dd',
          {},
          describe(decoded.raw, entry.level)
            .replace(/^→ /, '')
            .replace(/ · .*$/, ''),
        ),
        ...this.linuxReads(decoded.raw, entry.level),
        h('dt', {}, 'lies at'),
        h(
          'dd',
          { class: 'num' },
          `${hex(entry.entryPa)} `,
          h('span', { class: 'quiet' }, `(${linuxName(entry.level, focus.root.levels)})`),
        ),
        h('dt', {}, 'covers'),
        h('dd', { class: 'num' }, slot),
        ...this.lastWriter(focus, entry),
        decoded.reservedSet !== 0n && h('dt', { class: 'bad' }, '⚠ reserved'),
        decoded.reservedSet !== 0n &&
          h('dd', { class: 'bad' }, `bits ${hex(decoded.reservedSet)} are set: a walk faults with RSVD`),
      ),
    );
  }

  /** In a run of processes an entry that is not present still means something to the kernel. */
  private linuxReads(raw: bigint, level: Level): HTMLElement[] {
    const text = this.context.boot.hasProcesses && level === 1 ? linuxMeaning(raw, level) : '';
    return text === '' ? [] : [h('dt', {}, 'to Linux'), h('dd', {}, text)];
  }

  /** The journal's last word on the entry, in one line. */
  private lastWriter(focus: Focus, entry: SelectedEntry): HTMLElement[] {
    const { provenance } = this.context.boot;
    const last = provenance?.history(entry.entryPa, provenance.end(focus.checkpoint.index)).pop();
    if (!last) return [];
    return [
      h('dt', {}, 'written by'),
      h(
        'dd',
        {},
        h('code', {}, originName(last.origin)),
        ` ${[last.origin.stage, last.origin.rule].filter(Boolean).join(', ')}, cycle ${last.cycle.toLocaleString('en')}`,
      ),
    ];
  }

  /** Four rows of sixteen bits, each field a bracket under its bits. */
  private cells(fields: Field[], raw: bigint): HTMLElement {
    const rows: HTMLElement[] = [];
    for (let top = 63; top > 0; top -= ROW) {
      const bottom = top - ROW + 1;
      const bits: HTMLElement[] = [];
      for (let bit = top; bit >= bottom; bit--) {
        const on = ((raw >> BigInt(bit)) & 1n) === 1n;
        const field = fields.find((f) => bit <= f.hi && bit >= f.lo) as Field;
        bits.push(
          h(
            'span',
            {
              class: `bit ${field.kind}${on ? ' on' : ''}`,
              'data-field': field.hi,
              onmouseenter: () => this.mark(String(field.hi)),
              onmouseleave: () => this.mark(''),
            },
            h('span', { class: 'bit-number' }, String(bit)),
            h('span', { class: 'bit-value' }, on ? '1' : '0'),
          ),
        );
      }
      const names = fields
        .filter((field) => field.hi >= bottom && field.lo <= top)
        .map((field) => {
          const from = top - Math.min(field.hi, top) + 1;
          const span = Math.min(field.hi, top) - Math.max(field.lo, bottom) + 1;
          const text = span === 1 && field.kind === 'ignored' ? '' : field.name;
          return h(
            'span',
            {
              class: `bit-name ${field.kind}`,
              'data-field': field.hi,
              style: `grid-column:${from} / span ${span}`,
              title: field.title,
            },
            span === 1 && text.length > 4 ? '' : text,
          );
        });
      rows.push(h('div', { class: 'bit-row' }, ...bits, ...names));
    }
    return h(
      'div',
      { class: 'bits', role: 'img', 'aria-label': `The 64 bits of ${hex(raw)}; the table below names them` },
      ...rows,
    );
  }

  private fieldTable(fields: Field[]): HTMLElement {
    const rows = [...fields].reverse().map((field) => {
      const width = field.hi - field.lo + 1;
      const value =
        field.kind === 'address'
          ? '→'
          : width === 1
            ? field.value.toString()
            : width <= 4
              ? binary(field.value, width)
              : hex(field.value);
      return h(
        'tr',
        {
          class: `${field.kind}${field.value !== 0n ? ' on' : ''}`,
          'data-field': field.hi,
          onmouseenter: () => this.mark(String(field.hi)),
          onmouseleave: () => this.mark(''),
        },
        h('td', { class: 'num' }, width === 1 ? String(field.lo) : `${field.hi}:${field.lo}`),
        h('th', { scope: 'row', title: field.title }, field.name),
        h('td', { class: 'num value' }, value),
        h('td', {}, field.meaning),
      );
    });
    return h(
      'table',
      { class: 'fields' },
      h('caption', { class: 'visually-hidden' }, 'Fields of the entry'),
      h(
        'thead',
        {},
        h(
          'tr',
          {},
          h('th', { scope: 'col' }, 'Bits'),
          h('th', { scope: 'col' }, 'Name'),
          h('th', { scope: 'col' }, 'Value'),
          h('th', { scope: 'col' }, 'Meaning at this level'),
        ),
      ),
      h('tbody', {}, ...rows),
    );
  }

  /** Bits and their row in the table light up together. */
  private mark(field: string): void {
    this.marked = field;
    for (const part of this.body.querySelectorAll<HTMLElement>('[data-field]'))
      part.classList.toggle('marked', part.dataset['field'] === field && field !== '');
  }

  private history(focus: Focus, entry: SelectedEntry): HTMLElement[] {
    const out: HTMLElement[] = [];
    const { boot } = this.context;
    if (boot.provenance) out.push(...this.writes(focus, entry));
    const values: HTMLElement[] = [];
    let last: bigint | null | undefined;
    for (const checkpoint of boot.checkpoints) {
      const value = checkpoint.read(entry.entryPa) ?? null;
      if (value === last || (last === undefined && value === null)) continue;
      const note =
        value === null
          ? 'no longer a table'
          : last !== null && last !== undefined && ((value ^ last) & ~(A | D)) === 0n
            ? 'only A or D changed'
            : last === undefined || last === null
              ? 'first seen'
              : '';
      last = value;
      values.push(
        h(
          'li',
          { class: checkpoint === focus.checkpoint ? 'now' : '' },
          h(
            'button',
            { class: 'link', onclick: () => this.context.store.update({ cp: checkpoint.name }) },
            checkpoint.title,
          ),
          ' ',
          h('span', { class: 'num' }, value === null ? '–' : hex(value)),
          note ? h('span', { class: 'quiet' }, ` ${note}`) : '',
        ),
      );
    }
    out.push(h('h3', {}, 'Value at the checkpoints'), h('ul', { class: 'values' }, ...values));
    return out;
  }

  private writes(focus: Focus, entry: SelectedEntry): HTMLElement[] {
    const { provenance } = this.context.boot;
    const writes = provenance?.history(entry.entryPa, provenance.end(focus.checkpoint.index)) ?? [];
    const last = writes[writes.length - 1];
    if (!last)
      return [h('h3', {}, 'Who wrote it'), h('p', { class: 'quiet' }, 'nobody has written this entry up to here')];
    const rows = writes
      .slice(-MAX_WRITES)
      .reverse()
      .map((write) =>
        h(
          'li',
          {},
          h('code', {}, originName(write.origin)),
          h(
            'span',
            { class: 'quiet' },
            ` ${[write.origin.stage, write.origin.rule].filter(Boolean).join(', ')} · cycle ${write.cycle.toLocaleString('en')}`,
          ),
          h('div', { class: 'num' }, `${hex(write.before)} → ${hex(write.after)}`),
        ),
      );
    const differs = last.after !== entry.decoded.raw;
    const byProcessor = differs && ((last.after ^ entry.decoded.raw) & ~(A | D)) === 0n;
    return [
      h('h3', {}, 'Who wrote it'),
      h('ol', { class: 'writes' }, ...rows),
      ...(differs
        ? [
            h(
              'p',
              { class: 'quiet' },
              byProcessor
                ? 'Since then the processor has set Accessed or Dirty.'
                : 'The entry has changed since without a recorded write.',
            ),
          ]
        : []),
    ];
  }

  private aliases(focus: Focus, entry: SelectedEntry): HTMLElement[] {
    if (entry.decoded.pageSize === null) return this.tableActions(focus, entry);
    const { store } = this.context;
    const pa =
      focus.state.pa ??
      (focus.walk.outcome.kind === 'translation' && focus.state.entry === null
        ? focus.walk.outcome.pa
        : entry.decoded.base);
    const all = store.aliases(focus, pa);
    const items = all
      .slice(0, MAX_ALIASES)
      .map((va) =>
        h(
          'li',
          {},
          h('button', { class: 'link num', onclick: () => store.update({ va, level: null, pa }) }, hex(va)),
          h(
            'span',
            { class: 'quiet' },
            ` ${focus.checkpoint.regions.find((r) => va >= r.start && va <= r.last)?.short ?? ''}`,
          ),
        ),
      );
    return [
      h('h3', {}, 'Who maps physical ', h('span', { class: 'num' }, hex(pa))),
      items.length === 0
        ? h('p', { class: 'quiet' }, 'nobody, from this root')
        : h('ul', { class: 'values' }, ...items),
      ...(all.length > MAX_ALIASES ? [h('p', { class: 'quiet' }, `and ${all.length - MAX_ALIASES} more`)] : []),
    ];
  }

  private tableActions(focus: Focus, entry: SelectedEntry): HTMLElement[] {
    if (!entry.decoded.present) return [];
    const next = focus.checkpoint.tableAt(entry.decoded.base);
    if (!next) return [];
    const first = next.nextUsed(0, 1);
    return [
      h(
        'p',
        {},
        h(
          'button',
          { onclick: () => this.context.store.selectEntry(focus.checkpoint, next.pa, next.level, first ?? 0) },
          `Open the ${structureName(next.level)} at ${hex(next.pa)}`,
        ),
      ),
    ];
  }
}
