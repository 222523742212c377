// SPDX-License-Identifier: GPL-2.0-only
/** One table as a bar of 512 slots: a slider for the keyboard, a picture for the eye. */
import type { Focus } from '../app/store';
import { baseOf, flagText, isLeaf, isPresent } from '../model/entry';
import { bytes, hex } from '../model/hex';
import { ENTRIES, entryName, slotAddress, slotSize, structureName, type Level } from '../model/level';
import { regionsIn } from '../model/regions';
import type { Change } from '../model/diff';
import { SlotScale, type BarScale } from '../model/slotscale';
import { runValue, type Run, type Table } from '../model/table';
import { canvasContext, h, set } from './dom';
import { entryKind, isUser, KIND_LABELS } from './palette';
import type { Context } from './view';

/** What a bar shows. */
export interface BarContent {
  focus: Focus;
  table: Table;
  /** Linear address of slot 0. */
  base: bigint;
  selected: number;
  /** Whether the selected entry is the one in the inspector. */
  active: boolean;
  /** Slots that hold another way to the selected physical address. */
  aliases: number[];
  changes: Change[];
  scale: BarScale;
}

const LANE = 16;
const MARKS = 5;

export class Bar {
  readonly element: HTMLElement;
  private readonly heading = h('span', { class: 'bar-name' });
  private readonly detail = h('span', { class: 'bar-detail' });
  private readonly canvas = h('canvas', { class: 'bar-canvas', 'aria-hidden': 'true' });
  private readonly slider: HTMLElement;
  private content: BarContent | null = null;
  private scale: SlotScale | null = null;

  constructor(
    private readonly context: Context,
    readonly level: Level,
  ) {
    this.slider = h(
      'div',
      {
        class: 'bar',
        role: 'slider',
        tabindex: 0,
        'aria-valuemin': 0,
        'aria-valuemax': ENTRIES - 1,
        'data-level': level,
        onkeydown: (event: KeyboardEvent) => this.key(event),
        onclick: (event: MouseEvent) => this.choose(this.indexAt(event)),
        onmousemove: (event: MouseEvent) => this.hover(event),
        onmouseleave: () => this.context.tooltip.hide(),
      },
      this.canvas,
    );
    this.element = h(
      'div',
      { class: 'bar-block' },
      h('div', { class: 'bar-label' }, this.heading, this.detail),
      this.slider,
    );
  }

  render(content: BarContent): void {
    this.content = content;
    const { focus, table, base, selected } = content;
    this.scale = new SlotScale(table, content.scale, selected);
    const name = focus.checkpoint.tableName(table.pa);
    this.heading.replaceChildren(
      h('b', {}, structureName(this.level)),
      ` ${name ? `${name} ` : ''}`,
      h('span', { class: 'num' }, hex(table.pa)),
      ` · ${table.used} of 512 in use · slots of ${bytes(slotSize(this.level))}`,
    );
    const raw = table.entry(selected);
    const va = slotAddress(base, this.level, selected, focus.root.levels);
    this.detail.replaceChildren(h('span', { class: 'num strong' }, `[${selected}]`), ` ${describe(raw, this.level)}`);
    set(this.slider, 'aria-label', `${structureName(this.level)} ${name ?? hex(table.pa)}`);
    set(this.slider, 'aria-valuenow', String(selected));
    set(
      this.slider,
      'aria-valuetext',
      `${entryName(this.level)} ${selected}, address ${hex(va)}: ${describe(raw, this.level)}`,
    );
    this.slider.classList.toggle('active', content.active);
    this.draw();
  }

  /** Left and right edge of the selected slot, as shares of the width. */
  get selection(): [number, number] {
    const index = this.content?.selected ?? 0;
    return [this.scale?.left(index) ?? 0, this.scale?.left(index + 1) ?? 0];
  }

  draw(): void {
    const surface = canvasContext(this.canvas);
    const { content, scale } = this;
    if (!surface || !content || !scale) return;
    const { context, width, height } = surface;
    const palette = this.context.palette();
    const top = LANE;
    const bottom = height - MARKS;
    const x = (index: number): number => scale.left(index) * width;

    context.fillStyle = palette.colour('k-empty');
    context.fillRect(0, top, width, bottom - top);
    this.drawRegions(context, width, x);
    for (const run of content.table.runs) {
      context.fillStyle = palette.fill(entryKind(run.first, this.level));
      const left = x(run.index);
      const wide = Math.max(1.5, x(run.index + run.count) - left);
      context.fillRect(left, top, wide, bottom - top);
      if (isPresent(run.first) && isUser(run.first)) {
        context.fillStyle = palette.colour('k-user');
        context.fillRect(left, bottom - 3, wide, 3);
      }
    }
    this.drawTicks(context, x, top, bottom);
    for (const [from, end] of scale.squeezed)
      drawCut(context, (x(from) + x(end)) / 2, top, bottom, palette.colour('rule-strong'));
    for (const run of content.table.runs) this.drawNumbers(context, run, x, (top + bottom) / 2 + 2);
    this.drawChanges(context, x, top);
    for (const index of new Set(content.aliases))
      if (index !== content.selected) this.drawAlias(context, scale.middle(index) * width, bottom);
    this.drawSelection(context, x, top, bottom);
  }

  private drawRegions(context: CanvasRenderingContext2D, width: number, x: (index: number) => number): void {
    const palette = this.context.palette();
    context.font = `11px ${palette.colour('font')}`;
    context.textBaseline = 'middle';
    const spans = this.regionSpans().map(({ from, to, label }) => {
      const left = x(from) + 0.5;
      return { left, right: Math.max(left + 2, Math.min(x(to), width) - 1), label };
    });
    context.strokeStyle = palette.colour('rule-strong');
    for (const { left, right } of spans) {
      context.beginPath();
      context.moveTo(left, LANE - 1);
      context.lineTo(left, LANE - 5);
      context.lineTo(right, LANE - 5);
      context.lineTo(right, LANE - 1);
      context.stroke();
    }
    // Where names do not all fit, the great regions come first.
    const taken: [number, number][] = [];
    context.fillStyle = palette.colour('ink-soft');
    for (const { left, right, label } of [...spans].sort((a, b) => rank(a.label) - rank(b.label))) {
      const wide = context.measureText(label).width;
      const at = Math.min(Math.max(0, (left + right - wide) / 2), width - wide);
      if (taken.some(([from, to]) => at < to + 6 && at + wide > from - 6)) continue;
      context.fillText(label, at, 5);
      taken.push([at, at + wide]);
    }
  }

  /** The regions that lie in this table, in slots; of several in one slot the kernel image gives the name. */
  private regionSpans(): { from: number; to: number; label: string }[] {
    const { focus, base } = this.content as BarContent;
    const slot = slotSize(this.level);
    const last = slotAddress(base, this.level, ENTRIES - 1, focus.root.levels) + slot - 1n;
    const topBar = this.level === focus.root.levels;
    const spans: { from: number; to: number; label: string }[] = [];
    for (const region of regionsIn(focus.checkpoint.regions, base, last)) {
      const from = topBar || region.start > base ? indexIn(region.start, base, slot, topBar) : 0;
      const to = topBar || region.last < last ? indexIn(region.last, base, slot, topBar) + 1 : ENTRIES;
      const label = this.level <= 2 && to - from >= ENTRIES ? region.name : region.short;
      const previous = spans[spans.length - 1];
      if (!previous || previous.from !== from || previous.to !== to) spans.push({ from, to, label });
      else if (region.short === 'kernel image') previous.label = label;
    }
    return spans;
  }

  /** Numbers of the slots where there is room for them: one by one, else the first and last of a run. */
  private drawNumbers(context: CanvasRenderingContext2D, run: Run, x: (index: number) => number, middle: number): void {
    const palette = this.context.palette();
    context.font = `11px ${palette.colour('mono')}`;
    const put = (text: string, left: number, right: number): void => {
      const wide = context.measureText(text).width;
      if (right - left < wide + 12) return;
      const at = (left + right - wide) / 2;
      context.fillStyle = palette.colour('panel');
      context.fillRect(at - 4, middle - 8, wide + 8, 15);
      context.fillStyle = palette.colour('ink');
      context.fillText(text, at, middle);
    };
    if (run.count > 1 && x(run.index + 1) - x(run.index) < 34) {
      const pages = isLeaf(run.first, this.level) && isLeaf(runValue(run, run.count - 1), this.level);
      put(
        `${run.index} … ${run.index + run.count - 1}${pages ? `  ${run.count} × ${bytes(slotSize(this.level))}` : ''}`,
        x(run.index),
        x(run.index + run.count),
      );
      return;
    }
    for (let k = 0; k < run.count; k++) put(String(run.index + k), x(run.index + k), x(run.index + k + 1));
  }

  private drawTicks(
    context: CanvasRenderingContext2D,
    x: (index: number) => number,
    top: number,
    bottom: number,
  ): void {
    context.fillStyle = this.context.palette().colour('tick');
    if (this.content?.scale === 'fit') return;
    for (let index = 64; index < ENTRIES; index += 64) context.fillRect(Math.round(x(index)), bottom - 5, 1, 5);
    if (this.level === this.content?.focus.root.levels) context.fillRect(Math.round(x(256)), top, 1, bottom - top);
  }

  /** A lane above the slots: a triangle up for added, down for removed, a square for changed. */
  private drawChanges(context: CanvasRenderingContext2D, x: (index: number) => number, top: number): void {
    const palette = this.context.palette();
    for (const change of this.content?.changes ?? []) {
      const left = x(change.index);
      const wide = Math.max(2, x(change.index + change.count) - left);
      context.fillStyle = palette.colour(change.kind);
      context.fillRect(left, top, wide, 4);
      const middle = left + wide / 2;
      context.strokeStyle = palette.colour('panel');
      context.lineWidth = 1;
      context.beginPath();
      if (change.kind === 'added')
        polygon(context, [
          [middle, top - 2],
          [middle - 5, top + 6],
          [middle + 5, top + 6],
        ]);
      else if (change.kind === 'removed')
        polygon(context, [
          [middle, top + 7],
          [middle - 5, top - 1],
          [middle + 5, top - 1],
        ]);
      else
        polygon(context, [
          [middle - 4, top - 1],
          [middle + 4, top - 1],
          [middle + 4, top + 7],
          [middle - 4, top + 7],
        ]);
      context.fill();
      context.stroke();
    }
  }

  private drawAlias(context: CanvasRenderingContext2D, at: number, bottom: number): void {
    context.fillStyle = this.context.palette().colour('select');
    context.beginPath();
    polygon(context, [
      [at, bottom - 7],
      [at + 5, bottom - 1],
      [at, bottom + 5],
      [at - 5, bottom - 1],
    ]);
    context.fill();
  }

  private drawSelection(
    context: CanvasRenderingContext2D,
    x: (index: number) => number,
    top: number,
    bottom: number,
  ): void {
    const { selected, active } = this.content as BarContent;
    const palette = this.context.palette();
    const left = x(selected);
    const right = x(selected + 1);
    context.strokeStyle = palette.colour('select');
    context.lineWidth = active ? 3 : 2;
    context.strokeRect(left - 1, top - 1, Math.max(right - left, 2) + 2, bottom - top + 2);
    context.fillStyle = palette.colour('select');
    context.beginPath();
    const middle = Math.min(Math.max((left + right) / 2, 5), x(ENTRIES) - 5);
    polygon(context, [
      [middle, top],
      [middle - 5, top - 7],
      [middle + 5, top - 7],
    ]);
    context.fill();
  }

  private indexAt(event: MouseEvent): number {
    const box = this.slider.getBoundingClientRect();
    return this.scale?.index((event.clientX - box.left) / box.width) ?? 0;
  }

  private choose(index: number): void {
    if (this.content) this.context.store.selectSlot(this.content.focus, this.level, index);
  }

  private hover(event: MouseEvent): void {
    const content = this.content;
    if (!content) return;
    const index = this.indexAt(event);
    const raw = content.table.entry(index);
    const va = slotAddress(content.base, this.level, index, content.focus.root.levels);
    const symbol = this.context.boot.symbols.describe(va);
    const lines = [
      `${entryName(this.level)} ${index}`,
      `${hex(va)}${symbol ? `  ${symbol}` : ''}`,
      describe(raw, this.level),
    ];
    if (raw !== 0n) lines.push(`${hex(raw)}${isPresent(raw) ? ` · ${KIND_LABELS[entryKind(raw, this.level)]}` : ''}`);
    this.context.tooltip.show(event.clientX, event.clientY, lines);
  }

  /** Arrows go to the next entry in use; with Shift by one slot; Home and End to the ends; Page Up and Down by 64. */
  private key(event: KeyboardEvent): void {
    const content = this.content;
    if (!content) return;
    const { selected, table } = content;
    const used = (from: number, step: 1 | -1): number => table.nextUsed(from, step) ?? selected;
    const moves: Record<string, () => number> = {
      ArrowRight: () => (event.shiftKey ? selected + 1 : used(selected + 1, 1)),
      ArrowLeft: () => (event.shiftKey ? selected - 1 : used(selected - 1, -1)),
      PageDown: () => selected + 64,
      PageUp: () => selected - 64,
      Home: () => (event.shiftKey ? 0 : used(0, 1)),
      End: () => (event.shiftKey ? ENTRIES - 1 : used(ENTRIES - 1, -1)),
    };
    if (event.key === 'ArrowDown' || event.key === 'ArrowUp' || event.key === 'Enter') {
      this.moveFocus(event.key === 'ArrowUp' ? -1 : 1);
      event.preventDefault();
      return;
    }
    const move = moves[event.key];
    if (!move || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    this.choose(Math.min(ENTRIES - 1, Math.max(0, move())));
  }

  /** Down one level, up one level: the bars themselves. */
  private moveFocus(step: 1 | -1): void {
    const bars = [...(this.element.parentElement?.querySelectorAll<HTMLElement>('[role=slider]') ?? [])];
    bars[bars.indexOf(this.slider) + step]?.focus();
  }
}

const GREAT = ['kernel image', 'direct map', 'user', 'vmemmap', 'vmalloc'];
const rank = (label: string): number => (GREAT.includes(label) ? GREAT.indexOf(label) : GREAT.length);

function drawCut(context: CanvasRenderingContext2D, middle: number, top: number, bottom: number, colour: string): void {
  context.strokeStyle = colour;
  context.lineWidth = 1;
  context.beginPath();
  for (const shift of [-3, 3]) {
    context.moveTo(middle + shift - 4, bottom);
    context.lineTo(middle + shift + 4, top);
  }
  context.stroke();
}

function polygon(context: CanvasRenderingContext2D, points: [number, number][]): void {
  points.forEach(([x, y], i) => (i === 0 ? context.moveTo(x, y) : context.lineTo(x, y)));
  context.closePath();
}

/** Slot of an address; the top bar shows both canonical halves side by side, so its slots count from bit arithmetic. */
function indexIn(va: bigint, base: bigint, slot: bigint, topBar: boolean): number {
  return topBar ? Number((va / slot) & 511n) : Number((va - base) / slot);
}

/** "PDPT at 0x3c01000 · P RW US A", "2 MiB page at 0x200000 · …", "not present". */
export function describe(raw: bigint, level: Level): string {
  if (raw === 0n) return 'not present (0)';
  if (!isPresent(raw)) return `not present, holds ${hex(raw)}`;
  const what = isLeaf(raw, level) ? `${bytes(slotSize(level))} page` : structureName((level - 1) as Level);
  return `→ ${what} at ${hex(baseOf(raw, level))} · ${flagText(raw, level)}`;
}
