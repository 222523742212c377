// SPDX-License-Identifier: GPL-2.0-only
/** Linear address space: a bar for each level, each the selected slot of the one above, seen closer, down to one page. */
import type { Focus } from '../app/store';
import { bytes, hex, hexGrouped } from '../model/hex';
import { asLevel, indexOf, isCanonical, slotSize, type Level } from '../model/level';
import type { BarScale } from '../model/slotscale';
import { Bar } from './bar';
import { canvasContext, clear, h } from './dom';
import { legend } from './legend';
import { entryKind, type EntryKind } from './palette';
import type { Context, View } from './view';

const KINDS: EntryKind[] = ['table', 'rw', 'ro', 'rx', 'rwx', 'unused'];

export class VirtualView implements View {
  readonly element: HTMLElement;
  private readonly bars = new Map<Level, Bar>();
  private readonly funnels = new Map<Level, HTMLCanvasElement>();
  private readonly stack = h('div', { class: 'bars' });
  private readonly page = h('div', { class: 'page-bar' });
  private readonly end = h('p', { class: 'bars-end' });
  private readonly legendBox = h('div', { class: 'legend' });
  private readonly scales: HTMLInputElement[] = [];
  private legendPalette: unknown = null;
  private shown = '';
  private focus: Focus | null = null;

  constructor(private readonly context: Context) {
    const choice = (value: BarScale, text: string): HTMLElement => {
      const input = h('input', {
        type: 'radio',
        name: 'bars',
        value,
        onchange: () => context.store.update({ bars: value }),
      });
      this.scales.push(input);
      return h('label', { class: 'choice' }, input, h('span', {}, text));
    };
    this.element = h(
      'section',
      { class: 'virtual', 'aria-label': 'Linear address space, level by level' },
      h(
        'div',
        { class: 'bars-tools' },
        h(
          'div',
          { class: 'choices', role: 'radiogroup', 'aria-label': 'Scale of the bars' },
          choice('fit', 'used slots large'),
          choice('true', 'to scale'),
        ),
      ),
      this.stack,
      this.legendBox,
    );
    new ResizeObserver(() => this.redraw()).observe(this.stack);
  }

  render(focus: Focus): void {
    this.focus = focus;
    for (const input of this.scales) input.checked = input.value === focus.state.bars;
    if (this.context.palette() !== this.legendPalette) {
      this.legendPalette = this.context.palette();
      this.legendBox.replaceChildren(...legend(this.context.palette(), KINDS));
      this.legendBox.append(
        h('span', { class: 'legend-item' }, h('span', { class: 'user-mark', 'aria-hidden': 'true' }), 'U/S = 1'),
        h('span', { class: 'legend-item' }, '◆ also maps the selected byte'),
      );
    }
    const steps = focus.walk.steps;
    this.arrange(
      steps.map((step) => step.level).join(),
      steps.map((step) => step.level),
    );
    const aliases = this.aliases(focus);
    const changes = focus.compared ? this.context.store.diff(focus.compared, focus.checkpoint).changes : [];
    for (const step of steps) {
      const table = focus.checkpoint.table(step.tablePa, step.level);
      const bar = this.bars.get(step.level);
      if (!table || !bar) continue;
      const size = slotSize(step.level) * 512n;
      const top = step.level === focus.root.levels;
      bar.render({
        focus,
        table,
        base: top ? 0n : focus.state.va & ~(size - 1n),
        selected: step.index,
        active: focus.state.entry === null && focus.entry?.level === step.level,
        aliases: aliases
          .filter((va) => top || (va & ~(size - 1n)) === (focus.state.va & ~(size - 1n)))
          .map((va) => indexOf(va, step.level)),
        changes: changes.filter((change) => change.tablePa === step.tablePa && !change.adOnly),
        scale: focus.state.bars,
      });
    }
    this.renderEnd(focus);
    this.redraw();
  }

  /** Makes one bar a step; kept when the levels stay the same, so that the keyboard's place is not lost. */
  private arrange(key: string, levels: Level[]): void {
    if (key === this.shown) return;
    this.shown = key;
    const focused = document.activeElement?.getAttribute('data-level');
    clear(this.stack);
    for (const level of levels) {
      const bar = this.bars.get(level) ?? new Bar(this.context, asLevel(level));
      const funnel = this.funnels.get(level) ?? h('canvas', { class: 'funnel', 'aria-hidden': 'true' });
      this.bars.set(level, bar);
      this.funnels.set(level, funnel);
      this.stack.append(bar.element, funnel);
    }
    this.stack.append(this.page, this.end);
    if (focused) this.stack.querySelector<HTMLElement>(`[data-level="${focused}"]`)?.focus();
  }

  private aliases(focus: Focus): bigint[] {
    const { outcome } = focus.walk;
    const pa = focus.state.pa ?? (outcome.kind === 'translation' ? outcome.pa : null);
    return pa === null ? [] : this.context.store.aliases(focus, pa).slice(0, 64);
  }

  private renderEnd(focus: Focus): void {
    const last = focus.walk.steps[focus.walk.steps.length - 1];
    this.page.hidden = !last?.entry.leaf;
    if (last?.entry.leaf) {
      const size = slotSize(last.level);
      const offset = focus.state.va & (size - 1n);
      const share = Number(offset) / Number(size);
      this.page.className = `page-bar kind-${entryKind(last.entry.raw, last.level)}`;
      this.page.replaceChildren(
        h(
          'div',
          { class: 'bar-label' },
          h(
            'span',
            { class: 'bar-name' },
            h('b', {}, `${bytes(size)} page`),
            ' ',
            h('span', { class: 'num' }, `${hex(last.entry.base)} … ${hex(last.entry.base + size - 1n)}`),
            ' in physical memory',
          ),
          h(
            'span',
            { class: 'bar-detail' },
            h('span', { class: 'num strong' }, `+${hex(offset)}`),
            ` → byte ${hex(last.entry.base + offset)}`,
          ),
        ),
        h(
          'div',
          { class: 'page-strip' },
          h('span', { class: 'page-cursor', style: `left:${(share * 100).toFixed(3)}%` }),
        ),
      );
    }
    const text = this.endText(focus);
    this.end.hidden = text === '';
    this.end.textContent = text;
  }

  private endText(focus: Focus): string {
    const { outcome } = focus.walk;
    const va = hexGrouped(focus.state.va);
    if (!isCanonical(focus.state.va, focus.root.levels))
      return `${va} is not canonical with ${focus.root.levels} levels: no table is read, an access raises #GP(0).`;
    if (outcome.kind === 'unknown')
      return `The table at ${hex(outcome.tablePa)} is not part of this checkpoint’s data, so nothing can be said about ${va}.`;
    if (focus.walk.steps[focus.walk.steps.length - 1]?.entry.present === false)
      return 'The path ends here: the entry is not present, there is nothing closer to see.';
    return '';
  }

  private redraw(): void {
    if (!this.focus) return;
    const steps = this.focus.walk.steps;
    const hasPage = steps[steps.length - 1]?.entry.leaf === true;
    steps.forEach((step, i) => {
      const bar = this.bars.get(step.level);
      const funnel = this.funnels.get(step.level);
      if (!bar || !funnel) return;
      bar.draw();
      funnel.style.display = i + 1 < steps.length || hasPage ? '' : 'none';
      this.drawFunnel(funnel, bar.selection);
    });
  }

  private drawFunnel(canvas: HTMLCanvasElement, [left, right]: [number, number]): void {
    const surface = canvasContext(canvas);
    if (!surface) return;
    const { context, width, height } = surface;
    const palette = this.context.palette();
    context.beginPath();
    context.moveTo(left * width, 0);
    context.lineTo(0, height);
    context.lineTo(width, height);
    context.lineTo(right * width, 0);
    context.closePath();
    context.fillStyle = palette.colour('funnel');
    context.fill();
    context.strokeStyle = palette.colour('select');
    context.globalAlpha = 0.55;
    context.beginPath();
    context.moveTo(left * width, 0);
    context.lineTo(0.5, height);
    context.moveTo(right * width, 0);
    context.lineTo(width - 0.5, height);
    context.stroke();
    context.globalAlpha = 1;
  }
}
