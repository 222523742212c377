// SPDX-License-Identifier: GPL-2.0-only
/** One moment of a run: processes side by side above the frames that they share, with lines from page to frame. */
import { hex, plural } from '../model/hex';
import {
  cellsOf,
  frameMark,
  pageMark,
  type Area,
  type Cell,
  type Frame,
  type Mark,
  type Page,
  type Process,
  type ProcessModel,
} from '../model/processes';
import { clear, h, set, svg } from './dom';

/** What the reader picked. */
export interface Pick {
  process: string;
  va: bigint;
  /** A frame, when that was picked and not a page. */
  pfn: number | null;
}

export interface SceneContent {
  model: ProcessModel;
  /** The other moment: marks say what differs from it. */
  other: ProcessModel | null;
  /** Whether `other` comes later. */
  earlier: boolean;
  pick: Pick;
}

const LARGE_CELLS = 36;
const LARGE_FRAMES = 28;
const MAX_CELLS = 256;
const MAX_LINKS = 48;
/** Lines from one process to one frame. */
const MAX_ENDS = 3;
const MAX_FRAMES = 512;

const SIGNS: Record<Exclude<Mark, null>, string> = { added: '+', removed: '−', changed: '~' };
const WORDS: Record<Exclude<Mark, null>, string> = { added: 'new', removed: 'gone after the step', changed: 'changed' };

interface Group {
  frames: Frame[];
}

export class Scene {
  readonly element: HTMLElement;
  private readonly columns = h('div', { class: 'scene-processes' });
  private readonly strip = h('div', { class: 'scene-frames' });
  private readonly links = svg('svg', { class: 'scene-links', 'aria-hidden': 'true' });
  private readonly cells: { element: HTMLElement; process: Process; cell: Cell }[] = [];
  private readonly boxes: { element: HTMLElement; group: Group }[] = [];
  private content: SceneContent | null = null;
  private largeFrames = true;

  constructor(
    private readonly name: string,
    private readonly choosePage: (process: string, va: bigint) => void,
    private readonly chooseFrame: (pfn: number) => void,
  ) {
    this.element = h('div', { class: 'scene', 'data-scene': name }, this.columns, this.strip, this.links);
    new ResizeObserver(() => this.drawLinks()).observe(this.element);
  }

  render(content: SceneContent): void {
    const old = this.content;
    this.content = content;
    // What is selected changes often, what there is rarely.
    if (!old || old.model !== content.model || old.other !== content.other || old.earlier !== content.earlier)
      this.build();
    this.select();
    this.drawLinks();
  }

  private build(): void {
    const { model } = this.content as SceneContent;
    const focused = this.element.contains(document.activeElement)
      ? (document.activeElement as HTMLElement).dataset['key']
      : undefined;
    this.cells.length = this.boxes.length = 0;
    const pages = model.processes.map(({ areas }) =>
      areas.reduce((sum, area) => sum + cellsOf(area, this.limit(model)).length, 0),
    );
    const large = Math.max(0, ...pages) <= LARGE_CELLS;
    clear(this.columns);
    this.columns.append(
      ...(model.processes.length > 0
        ? model.processes.map((process) => this.column(process, large))
        : [h('p', { class: 'quiet' }, 'No process lives.')]),
    );
    this.renderFrames(model);
    if (focused) this.element.querySelector<HTMLElement>(`[data-key="${focused}"]`)?.focus();
  }

  /** Marks the selected page and frame, and all pages that map the frame; each list has one stop for the Tab key. */
  private select(): void {
    const { pick } = this.content as SceneContent;
    const picked = this.pickedFrame;
    const stops = new Map<Element | null, HTMLElement>();
    const mark = (element: HTMLElement, selected: boolean, lit: boolean): void => {
      element.classList.toggle('selected', selected);
      element.classList.toggle('lit', lit);
      set(element, 'aria-selected', String(selected));
      set(element, 'tabindex', '-1');
      if (selected || !stops.has(element.parentElement)) stops.set(element.parentElement, element);
    };
    for (const { element, process, cell } of this.cells) {
      const selected = pick.process === process.name && pick.va >= cell.va && pick.va < cell.va + cell.size;
      mark(element, selected, this.isLit(cell, picked));
    }
    for (const { element, group } of this.boxes) {
      const selected = group.frames.some(({ pfn }) => pfn === picked);
      mark(element, selected, selected);
    }
    for (const element of stops.values()) set(element, 'tabindex', '0');
  }

  /** Cells of an area: the narrower the columns, the fewer. */
  private limit(model: ProcessModel): number {
    return model.processes.length <= 2 ? MAX_CELLS : model.processes.length <= 4 ? MAX_CELLS / 2 : MAX_CELLS / 4;
  }

  private column(process: Process, large: boolean): HTMLElement {
    const { data } = process;
    const content = this.content as SceneContent;
    const isNew = content.other !== null && !content.other.process(process.name);
    const title = `${this.name}-${process.name}`.replace(/\W+/g, '-');
    return h(
      'div',
      { class: 'process', role: 'group', 'aria-labelledby': title },
      h(
        'h3',
        { id: title },
        `Process ${process.name}`,
        data.parent ? h('span', { class: 'quiet' }, ` child of ${data.parent}`) : null,
        isNew &&
          h('span', { class: `sign ${content.earlier ? 'removed' : 'added'}` }, content.earlier ? ' − ends' : ' + new'),
      ),
      h(
        'p',
        { class: 'process-counts' },
        ...Object.entries(data.counts ?? {})
          .filter(([, value]) => value !== 0)
          .map(([name, value]) => this.count(process.name, name, value)),
      ),
      ...process.areas.map((area) => this.area(process, area, large)),
      process.areas.length === 0 ? h('p', { class: 'quiet' }, 'nothing is mapped') : null,
    );
  }

  /** A count, and by how much the step changed it. */
  private count(process: string, name: string, value: number): HTMLElement {
    const { other, earlier } = this.content as SceneContent;
    const before = other?.process(process)?.data.counts?.[name] ?? (other?.process(process) ? 0 : value);
    const delta = earlier ? 0 : value - before;
    return h(
      'span',
      { class: 'count' },
      `${name} `,
      h('b', {}, value.toLocaleString('en')),
      delta !== 0 &&
        h(
          'span',
          { class: `sign ${delta > 0 ? 'added' : 'removed'}` },
          ` ${delta > 0 ? '+' : '−'}${Math.abs(delta).toLocaleString('en')}`,
        ),
    );
  }

  private area(process: Process, area: Area, large: boolean): HTMLElement {
    const { model } = this.content as SceneContent;
    const cells = cellsOf(area, this.limit(model));
    const notes = [area.backing, ...area.notes].join(', ');
    const grid = h(
      'div',
      {
        class: `cells${large ? ' large' : ''}`,
        role: 'listbox',
        'aria-label': `${process.name}, area ${hex(area.start)} to ${hex(area.end)}, ${area.rights}, ${notes}`,
        onkeydown: (event: KeyboardEvent) => this.key(event, grid),
      },
      ...cells.map((cell) => this.cell(process, cell, large)),
    );
    return h(
      'div',
      { class: 'area' },
      h(
        'p',
        { class: 'area-head' },
        h('span', { class: 'num' }, hex(area.start)),
        h('b', { class: 'num' }, ` ${area.rights} `),
        notes,
        ` · ${plural((area.end - area.start) >> 12n, 'page')}`,
      ),
      grid,
    );
  }

  private cell(process: Process, cell: Cell, large: boolean): HTMLElement {
    const { model } = this.content as SceneContent;
    const single = cell.pages.length === 1 && (cell.pages[0] as Page).size === cell.size ? cell.pages[0] : undefined;
    const mark = this.cellMark(process.name, cell);
    const sharers = Math.max(0, ...cell.pages.map((page) => model.sharers(page)));
    const kind = single ? kindOf(single, model) : cell.pages.length === 0 ? 'empty' : groupKind(cell, model);
    const text = this.cellText(process, cell, mark, sharers);
    const element = h(
      'div',
      {
        class: `cell c-${kind}${sharers > 1 ? ' shared' : ''}`,
        role: 'option',
        title: text,
        'data-key': `${process.name}.${hex(cell.va)}`,
        onclick: () => this.choosePage(process.name, (cell.pages[0] as Page | undefined)?.va ?? cell.va),
      },
      mark && h('span', { class: `mark ${mark}`, 'aria-hidden': 'true' }, SIGNS[mark]),
      h(
        'span',
        { class: 'glyph', 'aria-hidden': 'true' },
        `${glyphOf(kind, cell)}${large && sharers > 1 ? ` ×${sharers}` : ''}`,
      ),
      large && h('span', { class: 'cell-frame num', 'aria-hidden': 'true' }, cellFrame(single, cell)),
    );
    element.append(h('span', { class: 'visually-hidden' }, text));
    this.cells.push({ element, process, cell });
    return element;
  }

  private cellMark(process: string, cell: Cell): Mark {
    const { model, other, earlier } = this.content as SceneContent;
    if (!other) return null;
    const marks = new Set<Mark>();
    for (const page of cell.pages) {
      const there = other.page(process, page.va);
      const one = model.page(process, page.va);
      marks.add(earlier ? pageMark(one, there) : pageMark(there, one));
    }
    // What is new is seen in the later picture, what is gone in the earlier one.
    return marks.has('added') ? 'added' : marks.has('removed') ? 'removed' : marks.has('changed') ? 'changed' : null;
  }

  /** The frame that the reader means, at this moment. */
  get pickedFrame(): number | null {
    const { model, pick } = this.content as SceneContent;
    const pfn = pick.pfn ?? model.page(pick.process, pick.va)?.pfn ?? null;
    return pfn === null ? null : (model.frame(pfn)?.pfn ?? pfn);
  }

  private isLit(cell: Cell, picked: number | null): boolean {
    const { model } = this.content as SceneContent;
    return picked !== null && cell.pages.some(({ pfn }) => pfn !== null && (model.frame(pfn)?.pfn ?? pfn) === picked);
  }

  private cellText(process: Process, cell: Cell, mark: Mark, sharers: number): string {
    const { model } = this.content as SceneContent;
    const note = mark ? `; ${WORDS[mark]}` : '';
    const [page] = cell.pages;
    if (!page) return `${process.name} ${hex(cell.va)}: nothing mapped`;
    if (cell.pages.length > 1 || cell.size > page.size) {
      const present = cell.pages.filter(({ state }) => state === 'present').length;
      const swapped = cell.pages.filter(({ state }) => state === 'swap').length;
      return `${process.name} ${hex(cell.va)} to ${hex(cell.va + cell.size)}: ${present} of ${cell.size >> 12n} pages present${swapped > 0 ? `, ${swapped} swapped out` : ''}${note}`;
    }
    return `${process.name} ${hex(cell.va)}: ${pageText(page, model)}${sharers > 1 ? `; mapped ${sharers} times` : ''}${note}`;
  }

  private renderFrames(model: ProcessModel): void {
    const large = (this.largeFrames = model.frames.length <= LARGE_FRAMES);
    const size = Math.ceil(model.frames.length / MAX_FRAMES);
    const groups: Group[] = [];
    for (let i = 0; i < model.frames.length; i += Math.max(1, size))
      groups.push({ frames: model.frames.slice(i, i + size) });
    const grid = h(
      'div',
      {
        class: `frames${large ? ' large' : ''}`,
        role: 'listbox',
        'aria-label': `Page frames in use, ${this.name} the step`,
        onkeydown: (event: KeyboardEvent) => this.key(event, grid),
      },
      ...groups.map((group) => this.frameBox(group, large)),
    );
    this.strip.replaceChildren(
      h(
        'p',
        { class: 'area-head' },
        h('b', {}, 'Page frames in use'),
        ` · ${plural(model.frames.length, 'frame')}`,
        size > 1 ? `, ${size} to a cell` : '',
      ),
      model.frames.length > 0 ? grid : h('p', { class: 'quiet' }, 'none'),
    );
  }

  private frameBox(group: Group, large: boolean): HTMLElement {
    const frame = group.frames[0] as Frame;
    const mark = this.frameMark(group);
    const text = this.frameText(group, mark);
    const element = h(
      'div',
      {
        class: `cell frame f-${frame.kind}${frame.mapcount > 1 ? ' shared' : ''}`,
        role: 'option',
        title: text,
        'data-key': `frame.${frame.pfn.toString(16)}`,
        onclick: () => this.chooseFrame(frame.pfn),
      },
      mark && h('span', { class: `mark ${mark}`, 'aria-hidden': 'true' }, SIGNS[mark]),
      large
        ? h('span', { class: 'glyph num', 'aria-hidden': 'true' }, frame.pfn.toString(16))
        : h('span', { class: 'glyph', 'aria-hidden': 'true' }, FRAME_GLYPHS[frame.kind]),
      large && h('span', { class: 'cell-frame', 'aria-hidden': 'true' }, frame.label.replace(/^anonymous$/, 'anon')),
      large &&
        h(
          'span',
          { class: 'cell-frame num', 'aria-hidden': 'true' },
          frame.kind === 'zero' ? 'not counted' : `ref ${frame.refcount} map ${frame.mapcount}`,
        ),
    );
    element.append(h('span', { class: 'visually-hidden' }, text));
    this.boxes.push({ element, group });
    return element;
  }

  private frameMark({ frames }: Group): Mark {
    const { other, earlier } = this.content as SceneContent;
    if (!other) return null;
    const marks = new Set(
      frames.map((frame) => {
        const there = other.frame(frame.pfn);
        return earlier ? frameMark(frame, there) : frameMark(there, frame);
      }),
    );
    return marks.has('added') ? 'added' : marks.has('removed') ? 'removed' : marks.has('changed') ? 'changed' : null;
  }

  private frameText({ frames }: Group, mark: Mark): string {
    const frame = frames[0] as Frame;
    const note = mark ? `; ${WORDS[mark]}` : '';
    if (frames.length > 1) return `${frames.length} frames from 0x${frame.pfn.toString(16)} on${note}`;
    const mappers = (this.content as SceneContent).model.mappers(frame.pfn);
    const who = mappers
      .slice(0, 6)
      .map(({ process, va }) => `${process.name} ${hex(va)}`)
      .join(', ');
    const counts = frame.kind === 'zero' ? 'not counted' : `refcount ${frame.refcount}, mapcount ${frame.mapcount}`;
    return `frame 0x${frame.pfn.toString(16)}: ${frame.label}, ${counts}${who ? `; mapped by ${who}` : '; mapped by nobody'}${note}`;
  }

  /** Cells and the frames that they lead to; of many cells of one area with the same frame the first stands for all. */
  private ends(): { element: HTMLElement; pfn: number }[] {
    const { model } = this.content as SceneContent;
    const seen = new Map<string, number>();
    const out: { element: HTMLElement; pfn: number }[] = [];
    for (const { element, process, cell } of this.cells) {
      const frames = new Set(cell.pages.flatMap(({ pfn }) => (pfn === null ? [] : [model.frame(pfn)?.pfn ?? pfn])));
      for (const pfn of frames) {
        const key = `${process.name}.${pfn}`;
        const times = seen.get(key) ?? 0;
        seen.set(key, times + 1);
        if (times < MAX_ENDS) out.push({ element, pfn });
      }
    }
    return out;
  }

  /** Lines from pages to their frames: all while they are few, else those of what is picked. */
  private drawLinks(): void {
    clear(this.links);
    if (!this.content || this.element.clientWidth === 0) return;
    const origin = this.element.getBoundingClientRect();
    set(this.links, 'width', String(origin.width));
    set(this.links, 'height', String(origin.height));
    const { model } = this.content;
    const box = new Map<number, HTMLElement>();
    for (const { element, group } of this.boxes) for (const { pfn } of group.frames) box.set(pfn, element);
    const picked = this.pickedFrame;
    const found = this.ends();
    const all = this.largeFrames && found.length <= MAX_LINKS;
    const shown = found.filter(({ pfn }) => all || pfn === picked).slice(0, MAX_LINKS);
    for (const lit of [false, true]) {
      for (const { element, pfn } of shown) {
        const target = box.get(pfn);
        if (!target || (pfn === picked) !== lit) continue;
        const from = element.getBoundingClientRect();
        const to = target.getBoundingClientRect();
        const [x1, y1] = [from.left + from.width / 2 - origin.left, from.bottom - origin.top];
        const [x2, y2] = [to.left + to.width / 2 - origin.left, to.top - origin.top];
        const bend = Math.max(10, (y2 - y1) / 2);
        this.links.append(
          svg('path', {
            class: `link${lit ? ' lit' : ''}${(model.frame(pfn)?.mapcount ?? 0) > 1 ? ' shared' : ''}`,
            d: `M${x1} ${y1}C${x1} ${y1 + bend} ${x2} ${y2 - bend} ${x2} ${y2}`,
          }),
        );
      }
    }
  }

  /** Arrows go from cell to cell, Home and End to the ends, up and down by rows as they lie on the screen. */
  private key(event: KeyboardEvent, grid: HTMLElement): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const options = [...grid.children] as HTMLElement[];
    const now = options.indexOf(event.target as HTMLElement);
    if (now < 0) return;
    const row = Math.max(
      1,
      options.findIndex((option) => option.offsetTop > (options[0] as HTMLElement).offsetTop),
    );
    const moves: Record<string, number> = {
      ArrowRight: now + 1,
      ArrowLeft: now - 1,
      ArrowDown: now + row,
      ArrowUp: now - row,
      Home: 0,
      End: options.length - 1,
      Enter: now,
      ' ': now,
    };
    const wanted = moves[event.key];
    if (wanted === undefined) return;
    event.preventDefault();
    const next = options[Math.min(options.length - 1, Math.max(0, wanted))];
    next?.focus();
    next?.click();
  }
}

type CellKind = 'empty' | 'rw' | 'ro' | 'rx' | 'zero' | 'swap' | 'none' | 'mixed';

const GLYPHS: Record<CellKind, string> = {
  empty: '·',
  rw: 'w',
  ro: 'r',
  rx: 'x',
  zero: '0',
  swap: 'S',
  none: '–',
  mixed: '▒',
};
const FRAME_GLYPHS = { anon: 'a', file: 'f', zero: '0' } as const;

function kindOf(page: Page, model: ProcessModel): CellKind {
  if (page.state !== 'present') return page.state === 'swap' ? 'swap' : 'none';
  if (page.pfn !== null && model.frame(page.pfn)?.kind === 'zero') return 'zero';
  if (page.writable) return 'rw';
  return page.executable ? 'rx' : 'ro';
}

function groupKind(cell: Cell, model: ProcessModel): CellKind {
  const kinds = new Set(cell.pages.map((page) => kindOf(page, model)));
  const all = cell.pages.reduce((sum, { size }) => sum + size, 0n) === cell.size;
  return all && kinds.size === 1 ? ([...kinds][0] as CellKind) : 'mixed';
}

function glyphOf(kind: CellKind, cell: Cell): string {
  const huge = cell.pages.length === 1 && cell.size > 0x1000n && (cell.pages[0] as Page).size === cell.size;
  return huge ? `2M ${GLYPHS[kind]}` : GLYPHS[kind];
}

function cellFrame(single: Page | undefined, cell: Cell): string {
  if (single) return single.pfn === null ? `slot ${single.slot}` : single.pfn.toString(16);
  return cell.pages.length === 0 ? '' : `${cell.pages.length}`;
}

/** "frame 0x3fff4, read-only; anonymous". */
export function pageText(page: Page, model: ProcessModel): string {
  if (page.state === 'swap') return `swapped out, slot ${page.slot}`;
  const frame = page.pfn === null ? undefined : model.frame(page.pfn);
  const rights =
    page.state === 'none'
      ? 'PROT_NONE: not present for the processor'
      : `${page.writable ? 'writable' : 'read-only'}${page.executable ? ', executable' : ''}`;
  return `${page.size > 0x1000n ? '2 MiB from frame' : 'frame'} 0x${page.pfn?.toString(16)}, ${frame?.label ?? 'unknown'}, ${rights}`;
}
