// SPDX-License-Identifier: GPL-2.0-only
/** Physical memory: the whole of it on one strip, and a part of it closer. */
import type { Focus } from '../app/store';
import { bytes, hex, maxBig, minBig } from '../model/hex';
import { e820At, type Segment } from '../model/owners';
import { islands, makeScale, type Scale } from '../model/piecewise';
import { parseHex } from '../model/hex';
import { canvasContext, h, set } from './dom';
import { legend } from './legend';
import type { PaintKind } from './palette';
import type { Context, View } from './view';

const OWNER_KINDS: PaintKind[] = [
  'text',
  'rodata',
  'data',
  'table',
  'memblock',
  'vmemmap',
  'node',
  'initrd',
  'decompressor',
  'ram',
  'firmware',
  'acpi',
];
const PROCESS_KINDS: PaintKind[] = ['anon', 'cache', 'table', 'vmemmap', 'memblock', 'ram'];
const SIZE_KINDS: PaintKind[] = ['page4k', 'page2m', 'page1g', 'unmapped', 'firmware'];
const MIN_WINDOW = 1n << 16n;

export class PhysicalView implements View {
  readonly element: HTMLElement;
  private readonly overview = h('canvas', { class: 'strip-canvas', 'aria-hidden': 'true' });
  private readonly closer = h('canvas', { class: 'strip-canvas', 'aria-hidden': 'true' });
  private readonly wholeSlider: HTMLElement;
  private readonly closerSlider: HTMLElement;
  private readonly windowText = h('span', { class: 'strip-window num' });
  private readonly owner = h('p', { class: 'strip-owner', 'aria-live': 'polite' });
  private readonly legendBox = h('div', { class: 'legend' });
  private readonly modes: HTMLInputElement[] = [];
  private legendKey: unknown = null;
  private scale: Scale = makeScale([]);
  private segments: Segment<PaintKind>[] = [];
  private focus: Focus | null = null;
  private window = { start: 0n, end: 1n << 32n };
  private followed: bigint | null = null;

  constructor(private readonly context: Context) {
    this.wholeSlider = this.slider('Physical memory, all', this.overview, (share) => this.scale.address(share));
    this.closerSlider = this.slider('Physical memory, closer', this.closer, (share) => this.closerAddress(share));
    this.closerSlider.addEventListener('wheel', (event) => this.wheel(event), { passive: false });
    const mode = (value: 'owner' | 'size', text: string): HTMLElement => {
      const input = h('input', {
        type: 'radio',
        name: 'mem',
        value,
        onchange: () => this.context.store.update({ mem: value }),
      });
      this.modes.push(input);
      return h('label', { class: 'choice' }, input, h('span', {}, text));
    };
    const zoom = (text: string, label: string, factor: number): HTMLElement =>
      h('button', { class: 'small', 'aria-label': label, title: label, onclick: () => this.zoom(factor) }, text);
    this.element = h(
      'section',
      { class: 'physical panel', 'aria-labelledby': 'physical-title' },
      h(
        'div',
        { class: 'panel-head' },
        h('h2', { id: 'physical-title' }, 'Physical memory'),
        h(
          'div',
          { class: 'choices', role: 'radiogroup', 'aria-label': 'Colours of physical memory' },
          mode('owner', 'by owner'),
          mode('size', 'by page size'),
        ),
        this.windowText,
        h('span', { class: 'zoom' }, zoom('−', 'Zoom out', 4), zoom('+', 'Zoom in', 0.25)),
      ),
      this.wholeSlider,
      this.closerSlider,
      this.owner,
      this.legendBox,
    );
    new ResizeObserver(() => this.draw()).observe(this.element);
  }

  private slider(label: string, canvas: HTMLCanvasElement, at: (share: number) => bigint): HTMLElement {
    const share = (event: MouseEvent): number => {
      const box = canvas.getBoundingClientRect();
      return Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
    };
    return h(
      'div',
      {
        class: 'strip',
        role: 'slider',
        tabindex: 0,
        'aria-label': label,
        'aria-valuemin': 0,
        onclick: (event: MouseEvent) => this.pick(at(share(event))),
        onmousemove: (event: MouseEvent) => this.hover(event, at(share(event))),
        onmouseleave: () => this.context.tooltip.hide(),
        onkeydown: (event: KeyboardEvent) => this.key(event),
      },
      canvas,
    );
  }

  render(focus: Focus): void {
    const { store, boot } = this.context;
    this.focus = focus;
    const byOwner = focus.state.mem === 'owner';
    this.segments = byOwner ? store.owners(focus.checkpoint) : store.sizes(focus.checkpoint, focus.root);
    this.scale = makeScale(
      islands(
        e820At(boot, focus.checkpoint).map(({ start, size, type }) => ({
          start: parseHex(start),
          end: parseHex(start) + parseHex(size),
          ram: type === 1,
        })),
      ),
    );
    const owners = boot.hasProcesses ? PROCESS_KINDS : OWNER_KINDS;
    for (const input of this.modes) input.checked = input.value === focus.state.mem;
    const key = this.context.palette();
    if (this.legendKey !== key || this.legendBox.dataset['mem'] !== focus.state.mem) {
      this.legendKey = key;
      this.legendBox.dataset['mem'] = focus.state.mem;
      this.legendBox.replaceChildren(...legend(this.context.palette(), byOwner ? owners : SIZE_KINDS));
    }
    if (this.adopt(focus.state.win)) this.followed = this.address(focus);
    this.follow(this.address(focus));
    this.describe(focus);
    this.draw();
  }

  /** The physical address that the selection is about. */
  private address(focus: Focus): bigint | null {
    const { outcome } = focus.walk;
    if (focus.state.pa !== null) return focus.state.pa;
    if (focus.state.entry === null && focus.state.level === null && outcome.kind === 'translation') return outcome.pa;
    return focus.target?.start ?? null;
  }

  /** Moves the window to a newly selected address that it does not show. */
  private follow(pa: bigint | null): void {
    if (pa === null || pa === this.followed) return;
    this.followed = pa;
    const { start, end } = this.window;
    const chosen = this.context.store.state.win !== null;
    if (pa >= start && pa < end && (chosen || end - start < 1n << 30n)) return;
    this.setWindow(pa - (8n << 20n), 64n << 20n);
    if (chosen) this.context.store.note({ win: null });
  }

  /** A window that the address of the page names, e.g. of a link just opened. */
  private adopt(win: Focus['state']['win']): boolean {
    if (win === null || (win.start === this.window.start && win.start + win.size === this.window.end)) return false;
    this.setWindow(win.start, win.size);
    return true;
  }

  /** The reader moved the window: the page's address keeps it. */
  private moved(): void {
    const { start, end } = this.window;
    this.context.store.note({ win: { start, size: end - start } });
    this.draw();
  }

  private setWindow(start: bigint, size: bigint): void {
    const from = maxBig(0n, start);
    this.window = { start: from, end: from + size };
  }

  private zoom(factor: number): void {
    const size = this.window.end - this.window.start;
    const next = minBig(
      1n << 50n,
      maxBig(MIN_WINDOW, factor < 1 ? size / BigInt(Math.round(1 / factor)) : size * BigInt(factor)),
    );
    const focus = this.focus && this.address(this.focus);
    const inside = focus !== null && focus !== undefined && focus >= this.window.start && focus < this.window.end;
    const middle = inside ? focus : (this.window.start + this.window.end) / 2n;
    this.setWindow(middle - next / 2n, next);
    this.moved();
  }

  private wheel(event: WheelEvent): void {
    if (!event.ctrlKey && !event.shiftKey) return;
    event.preventDefault();
    if (event.ctrlKey) this.zoom(event.deltaY < 0 ? 0.5 : 2);
    else this.pan(event.deltaY + event.deltaX > 0 ? 8n : -8n);
  }

  private pan(eighths: bigint): void {
    const size = this.window.end - this.window.start;
    this.setWindow(this.window.start + (size * eighths) / 64n, size);
    this.moved();
  }

  private closerAddress(share: number): bigint {
    const size = this.window.end - this.window.start;
    return this.window.start + BigInt(Math.floor(share * Number(size)));
  }

  private pick(pa: bigint): void {
    if (this.focus) this.context.store.selectPhysical(this.focus, pa & ~0xfffn);
  }

  /** Arrows: to the neighbouring piece of memory; plus and minus: closer, wider; Page Up and Down: along. */
  private key(event: KeyboardEvent): void {
    if (!this.focus || event.ctrlKey || event.metaKey || event.altKey) return;
    const at = this.address(this.focus) ?? this.window.start;
    const index = this.segments.findIndex((segment) => at < segment.end);
    const inside = index >= 0 && at >= (this.segments[index] as Segment<PaintKind>).start;
    const go = (segment: Segment<PaintKind> | undefined): void => {
      if (segment) this.pick(segment.start);
    };
    const actions: Record<string, () => void> = {
      ArrowRight: () => go(this.segments[inside ? index + 1 : index]),
      ArrowLeft: () => go(this.segments[(index < 0 ? this.segments.length : index) - 1]),
      Home: () => go(this.segments[0]),
      End: () => go(this.segments[this.segments.length - 1]),
      '+': () => this.zoom(0.25),
      '-': () => this.zoom(4),
      PageDown: () => this.pan(32n),
      PageUp: () => this.pan(-32n),
    };
    const action = actions[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  }

  private segmentAt(pa: bigint): Segment<PaintKind> | undefined {
    return this.segments.find((segment) => pa >= segment.start && pa < segment.end);
  }

  private describe(focus: Focus): void {
    const pa = this.address(focus);
    const text = pa === null ? 'Nothing selected in physical memory.' : this.sentence(focus, pa);
    this.owner.textContent = text;
    const top = this.segments[this.segments.length - 1]?.end ?? 0n;
    for (const slider of [this.wholeSlider, this.closerSlider]) {
      set(slider, 'aria-valuemax', String(Number(top >> 12n)));
      set(slider, 'aria-valuenow', String(Number((pa ?? 0n) >> 12n)));
      set(slider, 'aria-valuetext', text);
    }
  }

  private sentence(focus: Focus, pa: bigint): string {
    const segment = this.segmentAt(pa);
    const name =
      focus.checkpoint.tableAt(pa) && `, table ${focus.checkpoint.tableName(pa & ~0xfffn) ?? hex(pa & ~0xfffn)}`;
    const aliases = this.context.store.aliases(focus, pa);
    const mapped =
      aliases.length === 0
        ? 'mapped nowhere'
        : `mapped at ${aliases.slice(0, 3).map(hex).join(', ')}${aliases.length > 3 ? ` and ${aliases.length - 3} more` : ''}`;
    const owner = segment
      ? `${segment.label} (${hex(segment.start)} … ${hex(segment.end - 1n)}, ${bytes(segment.end - segment.start)})`
      : 'no memory here';
    return `${hex(pa)}: ${owner}${name ?? ''}; ${mapped}.`;
  }

  private hover(event: MouseEvent, pa: bigint): void {
    const segment = this.segmentAt(pa);
    const lines = segment
      ? [segment.label, `${hex(segment.start)} … ${hex(segment.end - 1n)}`, bytes(segment.end - segment.start)]
      : ['no memory', hex(pa & ~0xfffn)];
    this.context.tooltip.show(event.clientX, event.clientY, lines);
  }

  private draw(): void {
    if (!this.focus) return;
    this.windowText.textContent = `closer: ${hex(this.window.start)} … ${hex(this.window.end)} (${bytes(this.window.end - this.window.start)})`;
    this.drawOverview(this.focus);
    this.drawCloser(this.focus);
  }

  private drawOverview(focus: Focus): void {
    const surface = canvasContext(this.overview);
    if (!surface) return;
    const { context, width, height } = surface;
    const palette = this.context.palette();
    const bottom = height - 14;
    for (const part of this.scale.parts) {
      const left = part.from * width;
      const wide = (part.to - part.from) * width;
      context.fillStyle = palette.colour('k-empty');
      context.fillRect(left, 0, wide, bottom);
      const clipped = this.segments.filter((segment) => segment.end > part.start && segment.start < part.end);
      paint(
        context,
        clipped,
        (pa) =>
          left + (Number(maxBig(part.start, minBig(pa, part.end)) - part.start) / Number(part.end - part.start)) * wide,
        0,
        bottom,
        (kind) => palette.fill(kind),
      );
      if (part.cut) drawCut(context, left, wide, bottom, palette.colour('panel'), palette.colour('rule-strong'));
    }
    this.drawScaleText(context, width, height);
    this.outline(context, focus, (pa) => (this.scale.position(pa) ?? 1) * width, 0, bottom);
    const [a, b] = [this.scale.position(this.window.start), this.scale.position(this.window.end)];
    context.strokeStyle = palette.colour('ink');
    context.lineWidth = 1.5;
    if (a !== null) context.strokeRect(a * width, 0.75, Math.max(3, ((b ?? 1) - a) * width), bottom - 1.5);
  }

  private drawScaleText(context: CanvasRenderingContext2D, width: number, height: number): void {
    const palette = this.context.palette();
    context.font = `11px ${palette.colour('font')}`;
    context.fillStyle = palette.colour('ink-soft');
    context.textBaseline = 'bottom';
    let end = -10;
    for (const part of this.scale.parts) {
      if (part.cut) continue;
      const label = part.start < 1n << 20n ? '0' : bytes(part.start);
      const left = part.from * width;
      if (left > end + 8) {
        context.fillText(label, left, height);
        end = left + context.measureText(label).width;
      }
      const last = bytes(part.end);
      const wide = context.measureText(last).width;
      const right = part.to * width - wide;
      if (right > end + 8) {
        context.fillText(last, right, height);
        end = right + wide;
      }
    }
  }

  private drawCloser(focus: Focus): void {
    const surface = canvasContext(this.closer);
    if (!surface) return;
    const { context, width, height } = surface;
    const palette = this.context.palette();
    const { start, end } = this.window;
    const x = (pa: bigint): number => (Number(pa - start) / Number(end - start)) * width;
    context.fillStyle = palette.colour('k-empty');
    context.fillRect(0, 0, width, height);
    const visible = this.segments.filter((segment) => segment.end > start && segment.start < end);
    paint(context, visible, x, 0, height, (kind) => palette.fill(kind));
    this.drawNames(context, visible, x, width, height);
    this.outline(context, focus, x, 0, height);
  }

  private drawNames(
    context: CanvasRenderingContext2D,
    visible: Segment<PaintKind>[],
    x: (pa: bigint) => number,
    width: number,
    height: number,
  ): void {
    const palette = this.context.palette();
    context.font = `12px ${palette.colour('font')}`;
    context.textBaseline = 'middle';
    for (const segment of visible) {
      const left = Math.max(0, x(segment.start));
      const right = Math.min(width, x(segment.end));
      const label = segment.label;
      const wide = context.measureText(label).width;
      if (right - left < wide + 18) continue;
      const middle = (left + right - wide) / 2;
      context.fillStyle = palette.colour('panel');
      context.fillRect(middle - 5, height / 2 - 9, wide + 10, 18);
      context.fillStyle = palette.colour('ink');
      context.fillText(label, middle, height / 2 + 0.5);
    }
  }

  /** The selected bytes, and the frames of the tables that the walk reads. */
  private outline(
    context: CanvasRenderingContext2D,
    focus: Focus,
    x: (pa: bigint) => number,
    top: number,
    bottom: number,
  ): void {
    context.strokeStyle = context.fillStyle = this.context.palette().colour('select');
    for (const step of focus.walk.steps) {
      const at = x(step.tablePa + 0x800n);
      context.beginPath();
      context.moveTo(at, top + 7);
      context.lineTo(at - 4, top);
      context.lineTo(at + 4, top);
      context.fill();
    }
    if (!focus.target) return;
    const left = x(focus.target.start);
    const right = Math.max(left + 3, x(focus.target.end));
    context.lineWidth = 2.5;
    context.strokeRect(left, top + 1.5, right - left, bottom - top - 3);
  }
}

function paint(
  context: CanvasRenderingContext2D,
  segments: Segment<PaintKind>[],
  x: (pa: bigint) => number,
  top: number,
  bottom: number,
  fill: (kind: PaintKind) => string | CanvasPattern,
): void {
  // Tables are tiny and matter most: they are drawn last and never narrower than a line.
  for (const last of [false, true]) {
    let painted = -1;
    for (const segment of segments) {
      if ((segment.kind === 'table') !== last) continue;
      const left = x(segment.start);
      const right = Math.max(left + (last ? 2 : 0.75), x(segment.end));
      // Of thousands of pieces within one pixel, one is enough.
      if (right - painted < 0.5 && left >= painted - 2) continue;
      painted = right;
      context.fillStyle = fill(segment.kind);
      context.fillRect(left, top, right - left, bottom - top);
    }
  }
}

function drawCut(
  context: CanvasRenderingContext2D,
  left: number,
  wide: number,
  bottom: number,
  paper: string,
  line: string,
): void {
  context.fillStyle = paper;
  context.strokeStyle = line;
  context.lineWidth = 1;
  const middle = left + wide / 2;
  context.beginPath();
  for (const shift of [-3, 3]) {
    context.moveTo(middle + shift - 3, bottom);
    context.lineTo(middle + shift + 3, 0);
  }
  context.stroke();
}
