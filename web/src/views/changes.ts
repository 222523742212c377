// SPDX-License-Identifier: GPL-2.0-only
/** What differs between two checkpoints, entry by entry. */
import type { Focus } from '../app/store';
import type { Checkpoint } from '../model/boot';
import type { Change } from '../model/diff';
import { flagText, isPresent } from '../model/entry';
import { hex, plural } from '../model/hex';
import { slotAddress, structureName } from '../model/level';
import { originName } from '../model/provenance';
import { regionAt } from '../model/regions';
import { h } from './dom';
import type { Context, View } from './view';
import { VirtualList } from './virtuallist';

const SIGNS = { added: '+', removed: '−', changed: '~' } as const;

export class ChangesView implements View {
  readonly element: HTMLElement;
  private readonly list: VirtualList<Change>;
  private readonly title = h('p', { class: 'changes-title' });
  private readonly quietBits: HTMLInputElement;
  private focus: Focus | null = null;
  private from: Checkpoint | null = null;
  private shown: readonly Change[] = [];
  private shownFor = '';

  constructor(private readonly context: Context) {
    this.list = new VirtualList<Change>(
      'Changes',
      30,
      (change) => this.cells(change),
      (change) => this.choose(change),
    );
    this.quietBits = h('input', {
      type: 'checkbox',
      onchange: () => context.store.update({ ad: this.quietBits.checked }),
    });
    this.element = h(
      'section',
      { class: 'listing', 'aria-label': 'Changes' },
      h(
        'div',
        { class: 'list-tools' },
        this.title,
        h('label', { class: 'check' }, this.quietBits, 'also where only Accessed or Dirty differ'),
      ),
      h(
        'div',
        { class: 'change-head', 'aria-hidden': 'true' },
        ...[
          '',
          'table',
          'entries',
          'before',
          'after',
          'bits',
          context.boot.provenance ? 'last written by' : 'covers',
        ].map((text) => h('span', {}, text)),
      ),
      this.list.element,
    );
  }

  render(focus: Focus): void {
    this.focus = focus;
    this.quietBits.checked = focus.state.ad;
    const { from, difference } = this.context.store.changes(focus);
    this.from = from;
    const key = `${from?.index}.${focus.checkpoint.index}.${this.quietBits.checked}`;
    if (key !== this.shownFor) {
      this.shownFor = key;
      this.shown = (difference?.changes ?? []).filter((change) => this.quietBits.checked || !change.adOnly);
    }
    if (!from || !difference) {
      this.title.textContent = 'Nothing came before the first checkpoint. Choose another one, or one to compare with.';
    } else {
      this.title.replaceChildren(
        'From ',
        h('b', {}, from.title),
        ' to ',
        h('b', {}, focus.checkpoint.title),
        `: ${plural(this.shown.length, 'group')} of entries; ${plural(difference.tablesAdded, 'table')} new, ${plural(difference.tablesRemoved, 'table')} gone`,
      );
    }
    const { entry } = focus;
    this.list.setItems(
      this.shown,
      entry
        ? this.shown.findIndex(
            (change) =>
              change.tablePa === entry.tablePa &&
              entry.index >= change.index &&
              entry.index < change.index + change.count,
          )
        : -1,
    );
  }

  private choose(change: Change): void {
    if (!this.focus) return;
    const { checkpoint } = this.focus;
    if (checkpoint.tableAt(change.tablePa))
      this.context.store.selectEntry(checkpoint, change.tablePa, change.level, change.index);
    else this.context.store.update({ pa: change.tablePa + 8n * BigInt(change.index), entry: null });
  }

  private cells(change: Change): (Node | string)[] {
    const checkpoint = this.focus?.checkpoint;
    const name =
      checkpoint?.tableName(change.tablePa) ??
      this.from?.tableName(change.tablePa) ??
      `${structureName(change.level)} ${hex(change.tablePa)}`;
    const index = change.count === 1 ? `[${change.index}]` : `[${change.index}…${change.index + change.count - 1}]`;
    const raw = change.kind === 'removed' ? change.before : change.after;
    const by = this.writer(change);
    return [
      h(
        'span',
        { class: `sign ${change.kind}`, title: change.kind },
        `${SIGNS[change.kind]} `,
        h('span', { class: 'visually-hidden' }, change.kind),
      ),
      h('span', { class: 'clip' }, name),
      h('span', { class: 'num' }, index),
      h('span', { class: 'num' }, change.kind === 'added' ? '' : hex(change.before)),
      h('span', { class: 'num' }, change.kind === 'removed' ? '' : hex(change.after)),
      h(
        'span',
        { class: 'clip' },
        change.adOnly ? 'A/D only' : isPresent(raw) ? flagText(raw, change.level) : 'not present',
      ),
      h('span', { class: 'clip' }, by || this.region(change)),
    ];
  }

  private region(change: Change): string {
    const checkpoint = this.focus?.checkpoint;
    const place = checkpoint?.placeOf(change.tablePa, change.level);
    if (!checkpoint || !place) return '';
    const va = slotAddress(place.base, change.level, change.index, place.root.levels);
    return `${regionAt(checkpoint.regions, va)?.short ?? ''} ${hex(va)}`;
  }

  /** With a journal: the function that wrote the first of the entries last. */
  private writer(change: Change): string {
    const { provenance } = this.context.boot;
    if (!provenance || !this.focus) return '';
    const writes = provenance.history(
      change.tablePa + 8n * BigInt(change.index),
      provenance.end(this.focus.checkpoint.index),
    );
    const last = writes[writes.length - 1];
    return last ? `${originName(last.origin)} ${last.origin.rule}` : '';
  }
}
