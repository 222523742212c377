// SPDX-License-Identifier: GPL-2.0-only
/** Everything that the root maps, as ranges; a filter; rows only where one looks. */
import type { Filter } from '../app/state';
import type { Focus } from '../app/store';
import { flagText } from '../model/entry';
import { bytes, hex, parseTyped, plural } from '../model/hex';
import { slotSize } from '../model/level';
import { rightsText, type Mapping } from '../model/mappings';
import { regionAt } from '../model/regions';
import { h } from './dom';
import type { Context, View } from './view';
import { VirtualList } from './virtuallist';

export class MappingListView implements View {
  readonly element: HTMLElement;
  private readonly list: VirtualList<Mapping>;
  private readonly count = h('p', { class: 'quiet', 'aria-live': 'polite' });
  private readonly filter: HTMLSelectElement;
  private readonly search: HTMLInputElement;
  private focus: Focus | null = null;
  private source: readonly Mapping[] = [];
  private filtered: readonly Mapping[] = [];
  private filteredBy = '';

  constructor(private readonly context: Context) {
    this.list = new VirtualList<Mapping>(
      'Mapped ranges',
      30,
      (mapping) => this.cells(mapping),
      (mapping) => this.context.store.update({ va: mapping.va, level: null }),
    );
    const option = (value: Filter, text: string): HTMLElement => h('option', { value }, text);
    this.filter = h(
      'select',
      { onchange: () => this.context.store.update({ filter: this.filter.value as Filter }) },
      option('', 'all'),
      option('w', 'writable'),
      option('x', 'executable'),
      option('wx', 'writable and executable'),
      option('u', 'user'),
    );
    this.search = h('input', {
      type: 'search',
      class: 'num',
      placeholder: 'address or region',
      oninput: () => this.context.store.update({ find: this.search.value }),
    });
    this.element = h(
      'section',
      { class: 'listing', 'aria-label': 'Mapped ranges' },
      h(
        'div',
        { class: 'list-tools' },
        h('label', {}, 'show ', this.filter),
        h('label', {}, 'find ', this.search),
        this.count,
      ),
      h(
        'div',
        { class: 'mapping-head', 'aria-hidden': 'true' },
        ...['linear address', 'size', 'pages', 'rights', 'physical address', 'bits', 'region'].map((text) =>
          h('span', {}, text),
        ),
      ),
      this.list.element,
    );
  }

  render(focus: Focus): void {
    this.focus = focus;
    this.filter.value = focus.state.filter;
    if (this.search.value !== focus.state.find) this.search.value = focus.state.find;
    this.refresh();
  }

  private refresh(): void {
    if (!this.focus) return;
    const { items, pages, cut } = this.context.store.mappings(this.focus.checkpoint, this.focus.root);
    const key = `${this.filter.value} ${this.search.value}`;
    if (items !== this.source || key !== this.filteredBy) {
      this.source = items;
      this.filteredBy = key;
      this.filtered = key === ' ' ? items : items.filter((mapping) => this.matches(mapping));
    }
    const { va } = this.focus.state;
    this.list.setItems(this.filtered, find(this.filtered, va));
    this.count.textContent = `${plural(this.filtered.length, 'range')} of ${items.length.toLocaleString('en')}, ${plural(pages, 'page')}${cut ? ' (cut: a table contains itself)' : ''}`;
  }

  private matches(mapping: Mapping): boolean {
    const { rights } = mapping;
    const filter = this.filter.value as Filter;
    if (filter.includes('w') && !rights.writable) return false;
    if (filter.includes('x') && !rights.executable) return false;
    if (filter === 'u' && !rights.user) return false;
    const text = this.search.value.trim().toLowerCase();
    if (text === '') return true;
    const address = parseTyped(text);
    if (address !== null && /\d/.test(text)) {
      const inside = (start: bigint): boolean => address >= start && address < start + mapping.size;
      return inside(mapping.va) || inside(mapping.pa) || hex(mapping.va).includes(text);
    }
    return (this.region(mapping) ?? '').toLowerCase().includes(text);
  }

  private region(mapping: Mapping): string | undefined {
    return this.focus ? regionAt(this.focus.checkpoint.regions, mapping.va)?.short : undefined;
  }

  private cells(mapping: Mapping): (Node | string)[] {
    const page = slotSize(mapping.level);
    const wx = mapping.rights.writable && mapping.rights.executable;
    return [
      h('span', { class: 'num' }, hex(mapping.va)),
      h('span', { class: 'num ra' }, bytes(mapping.size)),
      h('span', { class: 'num ra' }, `${(mapping.size / page).toLocaleString('en')} × ${bytes(page)}`),
      h('span', { class: `num${wx ? ' bad' : ''}` }, `${rightsText(mapping.rights)}${wx ? ' ⚠' : ''}`),
      h('span', { class: 'num' }, hex(mapping.pa)),
      h('span', {}, flagText(mapping.flags, mapping.level)),
      h('span', {}, this.region(mapping) ?? ''),
    ];
  }
}

/** The range that holds `va`, by halving: the list is in rising order. */
function find(items: readonly Mapping[], va: bigint): number {
  let low = 0;
  let high = items.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const item = items[middle] as Mapping;
    if (va < item.va) high = middle - 1;
    else if (va >= item.va + item.size) low = middle + 1;
    else return middle;
  }
  return -1;
}
