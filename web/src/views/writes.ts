// SPDX-License-Identifier: GPL-2.0-only
/** The journal: every write to a table, in order; arrows step forwards and backwards through it. */
import type { Scope } from '../app/state';
import type { Focus } from '../app/store';
import { hex, MASK64, plural } from '../model/hex';
import { originName, type WriteRun } from '../model/provenance';
import { structureName } from '../model/level';
import { h } from './dom';
import type { Context, View } from './view';
import { VirtualList } from './virtuallist';

export class WritesView implements View {
  readonly element: HTMLElement;
  private readonly list: VirtualList<WriteRun>;
  private readonly scope: HTMLSelectElement;
  private readonly title = h('p', { class: 'changes-title', 'aria-live': 'polite' });
  private focus: Focus | null = null;
  private shown: WriteRun[] = [];
  private chosen: WriteRun | null = null;

  constructor(private readonly context: Context) {
    this.list = new VirtualList<WriteRun>(
      'Writes',
      30,
      (run) => this.cells(run),
      (run) => this.choose(run),
    );
    const option = (value: Scope, text: string): HTMLElement => h('option', { value }, text);
    this.scope = h(
      'select',
      { onchange: () => context.store.update({ scope: this.scope.value as Scope }) },
      option('stage', 'of this stage'),
      option('table', 'to the selected table, up to here'),
      option('all', context.boot.hasProcesses ? 'of the whole run, up to here' : 'of the whole boot, up to here'),
    );
    this.element = h(
      'section',
      { class: 'listing', 'aria-label': 'Journal of writes' },
      h('div', { class: 'list-tools' }, h('label', {}, 'writes ', this.scope), this.title),
      h(
        'div',
        { class: 'write-head', 'aria-hidden': 'true' },
        ...['number', 'cycle', 'function', 'rule', 'table', 'entries', 'before', 'after'].map((text) =>
          h('span', {}, text),
        ),
      ),
      this.list.element,
    );
  }

  render(focus: Focus): void {
    this.focus = focus;
    const { provenance } = this.context.boot;
    if (!provenance) {
      this.title.textContent =
        'This boot was recorded without a journal: nobody knows who wrote what. A simulated boot can keep one.';
      this.list.setItems([], -1);
      return;
    }
    const { index } = focus.checkpoint;
    const { scope } = focus.state;
    this.scope.value = scope;
    const begin = scope === 'stage' && index > 0 ? provenance.end(index - 1) : 0;
    const end = provenance.end(index);
    const frame = scope === 'table' ? focus.entry?.tablePa : undefined;
    this.shown = provenance.runs.filter(
      (run) =>
        run.sequence + run.count > begin &&
        run.sequence < end &&
        (scope !== 'table' ||
          (frame !== undefined &&
            run.pa >> 12n <= frame >> 12n &&
            (run.pa + 8n * BigInt(run.count - 1)) >> 12n >= frame >> 12n)),
    );
    const single = this.shown.reduce(
      (sum, run) => sum + Math.min(end, run.sequence + run.count) - Math.max(begin, run.sequence),
      0,
    );
    this.title.textContent = `${plural(single, 'write')} in ${plural(this.shown.length, 'run')}, ${scope === 'stage' ? `made on the way to ${focus.checkpoint.title}` : `until ${focus.checkpoint.title}`}`;
    const at = this.chosen ? this.shown.indexOf(this.chosen) : -1;
    this.list.setItems(
      this.shown,
      at >= 0 ? at : this.shown.findIndex((run) => focus.entry !== null && covers(run, focus.entry.entryPa)),
    );
  }

  private choose(run: WriteRun): void {
    if (!this.focus) return;
    this.chosen = run;
    const { checkpoint } = this.focus;
    const table = checkpoint.tableAt(run.pa & ~0xfffn);
    if (table) this.context.store.selectEntry(checkpoint, table.pa, table.level, Number((run.pa >> 3n) & 511n));
    else this.context.store.update({ pa: run.pa });
  }

  private cells(run: WriteRun): (Node | string)[] {
    const { checkpoint } = this.focus as Focus;
    const pa = run.pa & ~0xfffn;
    const table = checkpoint.tableAt(pa);
    const name = checkpoint.tableName(pa) ?? `${table ? structureName(table.level) : 'no table now,'} ${hex(pa)}`;
    const index = Number((run.pa >> 3n) & 511n);
    const span = (first: bigint, stride: bigint): string =>
      hex(first & MASK64) + (run.count > 1 && stride !== 0n ? ' …' : '');
    return [
      h('span', { class: 'num ra' }, (run.sequence + 1).toLocaleString('en')),
      h('span', { class: 'num ra' }, run.cycle.toLocaleString('en')),
      h('span', { class: 'clip', title: originName(run.origin) }, originName(run.origin)),
      h('span', {}, run.origin.rule),
      h('span', { class: 'clip' }, name),
      h('span', { class: 'num' }, run.count === 1 ? `[${index}]` : `[${index}…${(index + run.count - 1) & 511}]`),
      h('span', { class: 'num clip', title: span(run.before, run.beforeStride) }, span(run.before, run.beforeStride)),
      h('span', { class: 'num' }, span(run.after, run.afterStride)),
    ];
  }
}

const covers = (run: WriteRun, pa: bigint): boolean => pa >= run.pa && pa < run.pa + 8n * BigInt(run.count);
