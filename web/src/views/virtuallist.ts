// SPDX-License-Identifier: GPL-2.0-only
/** A list of any length of which only the visible rows exist. One row is active; arrows move it. */
import { h, set } from './dom';

/** Browsers limit an element's height; above this many rows the scroll position stands for a share of the list. */
const MAX_HEIGHT = 8_000_000;
const EXTRA = 4;

export class VirtualList<T> {
  readonly element: HTMLElement;
  private readonly spacer = h('div', { class: 'vlist-spacer' });
  private readonly rows = h('div', { class: 'vlist-rows' });
  private items: readonly T[] = [];
  private active = -1;

  /**
   * @param fill    puts a row's cells together
   * @param choose  called when the user picks a row
   */
  constructor(
    private readonly name: string,
    private readonly rowHeight: number,
    private readonly fill: (item: T, index: number) => (Node | string)[],
    private readonly choose: (item: T, index: number) => void,
  ) {
    this.element = h(
      'div',
      {
        class: 'vlist',
        role: 'listbox',
        tabindex: 0,
        'aria-label': name,
        onscroll: () => this.draw(),
        onkeydown: (event: KeyboardEvent) => this.key(event),
      },
      this.spacer,
      this.rows,
    );
    new ResizeObserver(() => this.draw()).observe(this.element);
  }

  setItems(items: readonly T[], active: number): void {
    const moved = active !== this.active || items !== this.items;
    this.items = items;
    this.active = active;
    this.spacer.style.height = `${Math.min(MAX_HEIGHT, items.length * this.rowHeight)}px`;
    if (moved && active >= 0) this.reveal(active);
    this.draw();
  }

  private get factor(): number {
    const full = this.items.length * this.rowHeight;
    return full <= MAX_HEIGHT ? 1 : (full - this.element.clientHeight) / (MAX_HEIGHT - this.element.clientHeight);
  }

  private reveal(index: number): void {
    const top = index * this.rowHeight;
    const view = this.element.scrollTop * this.factor;
    const height = this.element.clientHeight;
    if (top < view) this.element.scrollTop = top / this.factor;
    else if (top + this.rowHeight > view + height)
      this.element.scrollTop = (top + this.rowHeight - height) / this.factor;
  }

  private draw(): void {
    const view = this.element.scrollTop * this.factor;
    const first = Math.max(0, Math.floor(view / this.rowHeight) - EXTRA);
    const last = Math.min(this.items.length, Math.ceil((view + this.element.clientHeight) / this.rowHeight) + EXTRA);
    const rows: HTMLElement[] = [];
    for (let i = first; i < last; i++) rows.push(this.row(i));
    this.rows.style.transform = `translateY(${this.element.scrollTop - view + first * this.rowHeight}px)`;
    this.rows.replaceChildren(...rows);
    set(this.element, 'aria-activedescendant', this.active >= first && this.active < last ? this.id(this.active) : '');
  }

  private id(index: number): string {
    return `${this.name.replace(/\W+/g, '-')}-${index}`;
  }

  private row(index: number): HTMLElement {
    const item = this.items[index] as T;
    return h(
      'div',
      {
        class: `vlist-row${index === this.active ? ' active' : ''}`,
        role: 'option',
        id: this.id(index),
        'aria-selected': String(index === this.active),
        'aria-setsize': this.items.length,
        'aria-posinset': index + 1,
        style: `height:${this.rowHeight}px`,
        onclick: () => this.choose(item, index),
      },
      ...this.fill(item, index),
    );
  }

  private key(event: KeyboardEvent): void {
    const page = Math.max(1, Math.floor(this.element.clientHeight / this.rowHeight) - 1);
    const moves: Record<string, number> = {
      ArrowDown: this.active + 1,
      ArrowUp: this.active - 1,
      PageDown: this.active + page,
      PageUp: this.active - page,
      Home: 0,
      End: this.items.length - 1,
    };
    const wanted = moves[event.key];
    if (wanted === undefined || this.items.length === 0) return;
    event.preventDefault();
    const index = Math.min(this.items.length - 1, Math.max(0, wanted));
    this.choose(this.items[index] as T, index);
  }
}
