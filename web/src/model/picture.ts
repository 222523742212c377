// SPDX-License-Identifier: GPL-2.0-only
/** The blackboard picture of a checkpoint: a box for each table, arrows to the tables and memory that its entries name. */
import type { Checkpoint, Root } from './boot';
import { baseOf, flagText, isLeaf, isPresent, isTable } from './entry';
import { bytes, hex } from './hex';
import { slotAddress, slotSize, structureName, type Level } from './level';
import { regionAt } from './regions';
import { runValue, type Run, type Table } from './table';

export interface Row {
  /** First entry of the row. */
  index: number;
  count: number;
  /** "[273]" or "[0…511]". */
  label: string;
  flags: string;
  /** For the top tables: the region of the linear address space that begins here. */
  note: string;
  y: number;
}

export interface Box {
  pa: bigint;
  level: Level;
  title: string;
  subtitle: string;
  rows: Row[];
  x: number;
  y: number;
  height: number;
  /** False for a named table that no root reaches. */
  reachable: boolean;
}

/** Memory that leaf entries map: the end of an arrow. */
export interface Chip {
  x: number;
  y: number;
  lines: string[];
}

export interface Arrow {
  from: { x: number; y: number };
  to: { x: number; y: number };
  /** Row's entry, to light up with the selection. */
  tablePa: bigint;
  index: number;
}

export interface Picture {
  boxes: Box[];
  chips: Chip[];
  arrows: Arrow[];
  width: number;
  height: number;
}

export const BOX_WIDTH = 236;
export const ROW_HEIGHT = 22;
export const HEAD_HEIGHT = 44;
export const CHIP_WIDTH = 196;
export const CHIP_HEIGHT = 40;
const COLUMN = BOX_WIDTH + 74;
const GAP = 18;
const MAX_ROWS = 7;
const MAX_BOXES = 90;

interface Item {
  index: number;
  count: number;
  first: bigint;
  kind: 'table' | 'leaf' | 'unused';
  /** Bytes mapped without a gap from the first page on; null when the pages lie apart. */
  contiguous: boolean;
}

export function pictureOf(checkpoint: Checkpoint, withLoose: boolean): Picture {
  const drawing = new Drawing(checkpoint);
  for (const root of checkpoint.roots) drawing.addRoot(root);
  if (withLoose) for (const table of checkpoint.loose) drawing.addLoose(table);
  return drawing.finish();
}

class Drawing {
  private readonly boxes: Box[] = [];
  private readonly chips: Chip[] = [];
  private readonly arrows: Arrow[] = [];
  private readonly placed = new Map<string, Box>();
  private readonly columnEnd: number[] = [];
  private readonly topLevel: number;

  constructor(private readonly checkpoint: Checkpoint) {
    this.topLevel = Math.max(...checkpoint.roots.map((root) => root.levels));
  }

  addRoot(root: Root): void {
    const table = this.checkpoint.table(root.pa, root.levels);
    if (!table) return;
    const column = this.topLevel - root.levels;
    this.place(table, root, 0n, this.columnEnd[column] ?? 0, true);
  }

  addLoose(table: Table): void {
    this.place(table, this.checkpoint.ownRoot, null, Math.max(0, ...this.columnEnd) + 24, false);
  }

  finish(): Picture {
    const right = Math.max(
      BOX_WIDTH,
      ...this.boxes.map((box) => box.x + BOX_WIDTH),
      ...this.chips.map((chip) => chip.x + CHIP_WIDTH),
    );
    const bottom = Math.max(
      60,
      ...this.boxes.map((box) => box.y + box.height),
      ...this.chips.map((chip) => chip.y + CHIP_HEIGHT),
    );
    return { boxes: this.boxes, chips: this.chips, arrows: this.arrows, width: right, height: bottom };
  }

  private place(table: Table, root: Root, base: bigint | null, wish: number, reachable: boolean): Box {
    const key = `${table.pa}.${table.level}`;
    const known = this.placed.get(key);
    if (known) return known;
    const column = this.topLevel - table.level;
    const items = itemsOf(table);
    const shown = shorten(items);
    const height = HEAD_HEIGHT + Math.max(1, shown.length) * ROW_HEIGHT + 6;
    const y = Math.max(wish, this.columnEnd[column] ?? 0);
    const name = this.checkpoint.tableName(table.pa);
    const box: Box = {
      pa: table.pa,
      level: table.level,
      reachable,
      x: column * COLUMN,
      y,
      height,
      rows: [],
      title: name ?? `${structureName(table.level)} ${hex(table.pa)}`,
      subtitle: name ? `${structureName(table.level)} at ${hex(table.pa)}` : `${table.used} of 512 in use`,
    };
    this.placed.set(key, box);
    this.boxes.push(box);
    this.columnEnd[column] = y + height + GAP;
    shown.forEach((item, i) => this.addRow(box, item, i, table, root, base, reachable));
    return box;
  }

  private addRow(
    box: Box,
    item: Item | number,
    i: number,
    table: Table,
    root: Root,
    base: bigint | null,
    reachable: boolean,
  ): void {
    const y = box.y + HEAD_HEIGHT + i * ROW_HEIGHT;
    if (typeof item === 'number') {
      box.rows.push({ index: -1, count: item, label: '⋮', flags: `${item} more entries`, note: '', y });
      return;
    }
    const va = base === null ? null : slotAddress(base, table.level, item.index, root.levels);
    const label = item.count === 1 ? `[${item.index}]` : `[${item.index}…${item.index + item.count - 1}]`;
    const note = va !== null && table.level === root.levels ? (regionAt(this.checkpoint.regions, va)?.short ?? '') : '';
    const flags = item.kind === 'unused' ? 'not present' : flagText(item.first, table.level).replace(/^P ?/, '');
    box.rows.push({ index: item.index, count: item.count, label, flags, note, y });
    const from = { x: box.x + BOX_WIDTH, y: y + ROW_HEIGHT / 2 };
    if (item.kind === 'leaf') this.addChip(box, item, table.level, va, from);
    if (item.kind === 'table' && table.level > 1 && this.boxes.length < MAX_BOXES) {
      const level = (table.level - 1) as Level;
      const next = this.checkpoint.table(baseOf(item.first, table.level), level);
      if (next && next.level === level) {
        const child = this.place(next, root, va, y - HEAD_HEIGHT, reachable);
        this.arrows.push({
          from,
          to: { x: child.x, y: child.y + HEAD_HEIGHT / 2 },
          tablePa: table.pa,
          index: item.index,
        });
      }
    }
  }

  private addChip(box: Box, item: Item, level: Level, va: bigint | null, from: { x: number; y: number }): void {
    const column = this.topLevel - level + 1;
    const x = column * COLUMN;
    const y = Math.max(from.y - CHIP_HEIGHT / 2, this.columnEnd[column] ?? 0);
    const size = slotSize(level) * BigInt(item.count);
    const pa = baseOf(item.first, level);
    const place = va === null ? '' : va === pa ? 'to itself' : (regionAt(this.checkpoint.regions, va)?.short ?? '');
    const what = item.count === 1 ? `${bytes(slotSize(level))} page` : `${item.count} × ${bytes(slotSize(level))}`;
    this.chips.push({
      x,
      y,
      lines: [
        `${what}${place ? ` · ${place}` : ''}`,
        item.contiguous ? `${hex(pa)} … ${hex(pa + size - 1n)}` : `${hex(pa)} and elsewhere`,
      ],
    });
    this.columnEnd[column] = y + CHIP_HEIGHT + 8;
    this.arrows.push({ from, to: { x, y: y + CHIP_HEIGHT / 2 }, tablePa: box.pa, index: item.index });
  }
}

/** Entries that belong together: each table pointer alone, leaves joined while flags and distance stay the same. */
function itemsOf(table: Table): Item[] {
  const out: Item[] = [];
  for (const run of table.runs) {
    const kind = kindOf(run.first, table.level);
    if (kind === 'table') {
      for (let k = 0; k < run.count; k++)
        out.push({
          index: run.index + k,
          count: 1,
          first: runValue(run, k),
          kind: kindOf(runValue(run, k), table.level),
          contiguous: true,
        });
      continue;
    }
    const last = out[out.length - 1];
    if (last && joins(last, run, kind, table.level)) {
      last.count += run.count;
      continue;
    }
    out.push({
      index: run.index,
      count: run.count,
      first: run.first,
      kind,
      contiguous: run.count === 1 || run.stride === slotSize(table.level),
    });
  }
  return out;
}

/** Accessed and Dirty may differ: they say what was used, not what was built. */
function joins(last: Item, run: Run, kind: Item['kind'], level: Level): boolean {
  if (kind !== 'leaf' || last.kind !== 'leaf' || last.index + last.count !== run.index) return false;
  const size = slotSize(level);
  const next = baseOf(last.first, level) + size * BigInt(last.count);
  const used = 0x60n;
  const flags = (raw: bigint): bigint => (raw ^ baseOf(raw, level)) & ~used;
  return (
    last.contiguous &&
    baseOf(run.first, level) === next &&
    flags(run.first) === flags(last.first) &&
    (run.count === 1 || run.stride === size)
  );
}

const kindOf = (raw: bigint, level: Level): Item['kind'] =>
  isLeaf(raw, level) ? 'leaf' : isTable(raw, level) && isPresent(raw) ? 'table' : 'unused';

/** All items if they fit, else the first ones, how many were left out, and the last. */
function shorten(items: Item[]): (Item | number)[] {
  if (items.length <= MAX_ROWS) return items;
  const head = items.slice(0, MAX_ROWS - 2);
  return [...head, items.length - head.length - 1, items[items.length - 1] as Item];
}
