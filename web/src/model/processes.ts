// SPDX-License-Identifier: GPL-2.0-only
/** Processes side by side: their areas, the pages in their tables, and the frames that they share. */
import type { FrameData, FrameKind, ProcessData } from '../data/contract';
import type { Checkpoint, Root } from './boot';
import type { ChangeKind } from './diff';
import { A, baseOf, D, isLeaf, isPresent, RW, XD } from './entry';
import { MASK64, parseHex } from './hex';
import { indexOf, slotSize, type Level } from './level';

const PAGE = 0x1000n;
/** _PAGE_PROTNONE: mapped for the kernel, not present for the processor. */
const PROT_NONE = 1n << 8n;
const ADDRESS = ((1n << 52n) - 1n) & ~0xfffn;

export type PageState = 'present' | 'none' | 'swap';

/** What a process sees at an address: an entry that is not zero. */
export interface Page {
  va: bigint;
  size: bigint;
  raw: bigint;
  level: Level;
  /** none: PROT_NONE, which the processor takes for not present; swap: the page lies in the swap area. */
  state: PageState;
  /** First frame; null when it is swapped out. */
  pfn: number | null;
  /** Place in the swap area. */
  slot: bigint | null;
  writable: boolean;
  executable: boolean;
}

export interface Area {
  start: bigint;
  end: bigint;
  rights: string;
  backing: string;
  notes: string[];
  /** In rising order of address. */
  pages: Page[];
}

export interface Process {
  name: string;
  data: ProcessData;
  root: Root;
  areas: Area[];
}

/** A page frame, or a compound page of `frames` of them. */
export interface Frame {
  pfn: number;
  frames: number;
  kind: FrameKind;
  refcount: number;
  mapcount: number;
  flags: string[];
  /** "anonymous", "file 0, page 3", "zero page". */
  label: string;
}

export interface Mapper {
  process: Process;
  page: Page;
  /** Where the process sees the frame. */
  va: bigint;
}

/** The processes of one checkpoint. */
export class ProcessModel {
  readonly processes: Process[];
  /** Ascending. */
  readonly frames: Frame[];
  private readonly byPfn = new Map<number, Frame>();
  private readonly users = new Map<number, Mapper[]>();
  private readonly counted = new Map<Page, number>();

  constructor(readonly checkpoint: Checkpoint) {
    this.processes = (checkpoint.data.processes ?? []).map((data) => processOf(checkpoint, data));
    this.frames = (checkpoint.data.frames ?? []).flatMap(framesOf).sort((a, b) => a.pfn - b.pfn);
    for (const frame of this.frames) this.byPfn.set(frame.pfn, frame);
    for (const process of this.processes)
      for (const area of process.areas) for (const page of area.pages) this.use(process, page);
  }

  private use(process: Process, page: Page): void {
    if (page.pfn === null) return;
    const key = this.frame(page.pfn)?.pfn ?? page.pfn;
    const mapper = { process, page, va: page.va };
    const known = this.users.get(key);
    if (known) known.push(mapper);
    else this.users.set(key, [mapper]);
  }

  process(name: string): Process | undefined {
    return this.processes.find((process) => process.name === name);
  }

  /** The process that has this top table. */
  processOf(root: Root): Process | undefined {
    return this.process(root.name) ?? this.processes.find((process) => process.root.pa === root.pa);
  }

  /** The frame `pfn`, or the compound page in which it lies. */
  frame(pfn: number): Frame | undefined {
    const exact = this.byPfn.get(pfn);
    if (exact) return exact;
    const huge = this.byPfn.get(pfn - (pfn % 512));
    return huge && pfn < huge.pfn + huge.frames ? huge : undefined;
  }

  /** Who maps a frame, process by process, in rising order of address. */
  mappers(pfn: number): Mapper[] {
    return this.users.get(this.frame(pfn)?.pfn ?? pfn) ?? [];
  }

  /** How many pages share the frame of this one, itself included; of a large page: how many processes have a part of it. */
  sharers(page: Page): number {
    if (page.pfn === null) return 0;
    let count = this.counted.get(page);
    if (count === undefined) {
      const mappers = this.mappers(page.pfn);
      const [start, end] = frameRange(page);
      const overlapping = mappers.filter((mapper) => {
        const [from, to] = frameRange(mapper.page);
        return from < end && to > start;
      });
      const large = page.size > PAGE;
      count = large ? new Set(overlapping.map(({ process }) => process)).size : overlapping.length;
      this.counted.set(page, count);
    }
    return count;
  }

  page(name: string, va: bigint): Page | undefined {
    const area = this.process(name)?.areas.find(({ start, end }) => va >= start && va < end);
    return area && area.pages[lastAtOrBefore(area.pages, va)];
  }
}

/** The frames of a page: first, and the one after the last. */
const frameRange = ({ pfn, size }: Page): [number, number] => [pfn ?? 0, (pfn ?? 0) + Number(size / PAGE)];

/** Index of the page that covers `va`; -1 if none does. */
function lastAtOrBefore(pages: Page[], va: bigint): number {
  let low = 0;
  let high = pages.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const page = pages[middle] as Page;
    if (va < page.va) high = middle - 1;
    else if (va >= page.va + page.size) low = middle + 1;
    else return middle;
  }
  return -1;
}

function processOf(checkpoint: Checkpoint, data: ProcessData): Process {
  const pa = parseHex(data.root);
  const root = checkpoint.roots.find(({ name }) => name === data.name) ?? {
    name: data.name,
    pa,
    levels: checkpoint.ownRoot.levels,
  };
  const areas = data.areas.map((area) => {
    const [start, end] = [parseHex(area.start), parseHex(area.end)];
    return {
      start,
      end,
      rights: area.rights,
      backing: area.backing,
      notes: area.notes ?? [],
      pages: pagesOf(checkpoint, root, start, end),
    };
  });
  return { name: data.name, data, root, areas };
}

/** The entries of [start, end) that are not zero, page by page; a large page counts once. */
export function pagesOf(checkpoint: Checkpoint, root: Root, start: bigint, end: bigint): Page[] {
  const out: Page[] = [];
  const visit = (tablePa: bigint, level: Level, from: bigint, to: bigint): void => {
    const table = checkpoint.table(tablePa, level);
    if (!table) return;
    const size = slotSize(level);
    for (let va = from & ~(size - 1n); va < to; va += size) {
      const raw = table.entry(indexOf(va, level));
      if (raw === 0n) continue;
      if (level === 1 || isLeaf(raw, level)) out.push(pageOf(va, level, raw));
      else if (isPresent(raw))
        visit(baseOf(raw, level), (level - 1) as Level, va > from ? va : from, va + size < to ? va + size : to);
    }
  };
  visit(root.pa, root.levels, start, end);
  return out;
}

/** How Linux reads an entry. PROT_NONE and swap entries hold their number inverted, so that no attack reads memory by it. */
function pageOf(va: bigint, level: Level, raw: bigint): Page {
  const present = isPresent(raw);
  const none = !present && (raw & PROT_NONE) !== 0n;
  const state: PageState = present ? 'present' : none ? 'none' : 'swap';
  const base = present ? baseOf(raw, level) : (raw ^ MASK64) & ADDRESS;
  return {
    va,
    size: slotSize(level),
    raw,
    level,
    state,
    pfn: state === 'swap' ? null : Number(base / PAGE),
    slot: state === 'swap' ? (((raw ^ MASK64) << 5n) & MASK64) >> 14n : null,
    writable: present && (raw & RW) !== 0n,
    executable: present && (raw & XD) === 0n,
  };
}

/** What Linux keeps in an entry that is not present for the processor; '' when it is present or zero. */
export function linuxMeaning(raw: bigint, level: Level): string {
  if (raw === 0n || isPresent(raw)) return '';
  const page = pageOf(0n, level, raw);
  return page.state === 'none'
    ? `PROT_NONE: frame 0x${page.pfn?.toString(16)}, kept inverted in bits 51:12`
    : `a swap entry: area ${raw >> 59n}, slot ${page.slot} (bits 58:9, inverted)`;
}

function framesOf(data: FrameData): Frame[] {
  const label = (k: number): string => {
    if (data.kind === 'zero') return 'zero page';
    if (data.kind === 'anon') return 'anonymous';
    return `${data.file ?? 'file'}, page ${(data.index ?? 0) + k}`;
  };
  return Array.from({ length: data.count ?? 1 }, (_, k) => ({
    pfn: data.pfn + k,
    frames: 1 << (data.order ?? 0),
    kind: data.kind,
    refcount: data.refcount,
    mapcount: data.mapcount,
    flags: data.flags ?? [],
    label: label(k),
  }));
}

/** How one thing differs between two moments; null: not at all. */
export type Mark = ChangeKind | null;

const used = A | D;

/** What a step did to a page. That the processor set Accessed or Dirty counts only when `exact`. */
export function pageMark(before: Page | undefined, after: Page | undefined, exact = false): Mark {
  if (!before && !after) return null;
  if (!before) return 'added';
  if (!after) return 'removed';
  const different = before.raw ^ after.raw;
  return (exact ? different : different & ~used) === 0n && before.size === after.size ? null : 'changed';
}

export function frameMark(before: Frame | undefined, after: Frame | undefined): Mark {
  if (!before && !after) return null;
  if (!before) return 'added';
  if (!after) return 'removed';
  return before.refcount === after.refcount && before.mapcount === after.mapcount && before.kind === after.kind
    ? null
    : 'changed';
}

/** One difference between two moments. */
export interface PageChange {
  process: string;
  va: bigint;
  kind: ChangeKind;
  before: Page | undefined;
  after: Page | undefined;
}

/** Every page of every process that a step changed, in rising order of address. */
export function pageChanges(before: ProcessModel, after: ProcessModel): PageChange[] {
  const out: PageChange[] = [];
  const names = new Set([...before.processes, ...after.processes].map(({ name }) => name));
  for (const process of names) {
    const old = pagesByAddress(before.process(process));
    const now = pagesByAddress(after.process(process));
    const all = [...new Set([...old.keys(), ...now.keys()])].sort((a, b) => (a < b ? -1 : 1));
    for (const va of all) {
      const kind = pageMark(old.get(va), now.get(va), true);
      if (kind) out.push({ process, va, kind, before: old.get(va), after: now.get(va) });
    }
  }
  return out;
}

const pagesByAddress = (process: Process | undefined): Map<bigint, Page> =>
  new Map((process?.areas ?? []).flatMap(({ pages }) => pages).map((page) => [page.va, page]));

/** A cell of the picture of an area: one page, one large page, or a group of neighbours. */
export interface Cell {
  va: bigint;
  size: bigint;
  pages: Page[];
}

/** The area in at most about `limit` cells. */
export function cellsOf(area: Area, limit: number): Cell[] {
  let group = PAGE;
  while ((area.end - area.start) / group > BigInt(limit)) group *= 2n;
  const out: Cell[] = [];
  let next = 0;
  for (let va = area.start; va < area.end; ) {
    const first = area.pages[next];
    if (first && first.size > PAGE && first.size > group && first.va <= va) {
      out.push({ va: first.va, size: first.size, pages: [first] });
      va = first.va + first.size;
      next++;
      continue;
    }
    let end = (va & ~(group - 1n)) + group;
    if (end > area.end) end = area.end;
    const pages: Page[] = [];
    for (let page = area.pages[next]; page && page.va < end; page = area.pages[next]) {
      if (page.size > group && pages.length > 0) break;
      pages.push(page);
      next++;
    }
    out.push({ va, size: end - va, pages });
    va = end;
  }
  return out;
}
