// SPDX-License-Identifier: GPL-2.0-only
/** What a root maps: pages joined to ranges, in rising order of linear address. */
import type { Checkpoint, Root } from './boot';
import { baseOf, isLeaf, isPresent, RW, US, XD } from './entry';
import { slotAddress, slotSize, type Level } from './level';
import { runValue, type Run, type Table } from './table';
import type { Rights } from './walk';

/** Pages of one size with the same bits and rights, contiguous in linear and in physical memory. */
export interface Mapping {
  va: bigint;
  size: bigint;
  pa: bigint;
  level: Level;
  /** The first page's entry without its address bits. */
  flags: bigint;
  rights: Rights;
}

export interface MappingList {
  items: Mapping[];
  pages: number;
  /** The list was cut: a table that contains itself maps more ranges than anybody could look at. */
  cut: boolean;
}

const LIMIT = 400_000;

export function mappingsOf(checkpoint: Checkpoint, root: Root): MappingList {
  const list: MappingList = { items: [], pages: 0, cut: false };
  const top = checkpoint.table(root.pa, root.levels);
  if (top) visit(checkpoint, root, top, 0n, { writable: true, user: true, executable: true }, list);
  return list;
}

function visit(
  checkpoint: Checkpoint,
  root: Root,
  table: Table,
  base: bigint,
  rights: Rights,
  list: MappingList,
): void {
  for (const run of table.runs) {
    if (addWholeRun(run, table.level, base, root, rights, list)) continue;
    for (let k = 0; k < run.count; k++) {
      if (list.items.length >= LIMIT) {
        list.cut = true;
        return;
      }
      const raw = runValue(run, k);
      if (!isPresent(raw)) continue;
      const va = slotAddress(base, table.level, run.index + k, root.levels);
      const inner = narrow(rights, raw);
      if (isLeaf(raw, table.level)) {
        append(
          list,
          {
            va,
            size: slotSize(table.level),
            pa: baseOf(raw, table.level),
            level: table.level,
            flags: flagsOf(raw, table.level),
            rights: inner,
          },
          1,
        );
        continue;
      }
      const level = (table.level - 1) as Level;
      const next = checkpoint.table(baseOf(raw, table.level), level);
      if (next && next.level === level) visit(checkpoint, root, next, va, inner, list);
    }
  }
}

/** A run of leaves that rises by its page size is one range: the common case, and what makes 1.5 TiB cheap. */
function addWholeRun(run: Run, level: Level, base: bigint, root: Root, rights: Rights, list: MappingList): boolean {
  const size = slotSize(level);
  if (run.count === 1 || run.stride !== size || !isLeaf(run.first, level)) return false;
  if (flagsOf(runValue(run, run.count - 1), level) !== flagsOf(run.first, level)) return false;
  const va = slotAddress(base, level, run.index, root.levels);
  append(
    list,
    {
      va,
      size: size * BigInt(run.count),
      pa: baseOf(run.first, level),
      level,
      flags: flagsOf(run.first, level),
      rights: narrow(rights, run.first),
    },
    run.count,
  );
  return true;
}

function append(list: MappingList, next: Mapping, pages: number): void {
  list.pages += pages;
  const last = list.items[list.items.length - 1];
  if (
    last &&
    last.level === next.level &&
    last.flags === next.flags &&
    last.va + last.size === next.va &&
    last.pa + last.size === next.pa &&
    sameRights(last.rights, next.rights)
  ) {
    last.size += next.size;
  } else {
    list.items.push(next);
  }
}

const flagsOf = (raw: bigint, level: Level): bigint => raw ^ baseOf(raw, level);
const sameRights = (a: Rights, b: Rights): boolean =>
  a.writable === b.writable && a.user === b.user && a.executable === b.executable;

export const narrow = (rights: Rights, raw: bigint): Rights => ({
  writable: rights.writable && (raw & RW) !== 0n,
  user: rights.user && (raw & US) !== 0n,
  executable: rights.executable && (raw & XD) === 0n,
});

/** "rw-", "r-x" … with "u" before it for pages that user mode may use. */
export const rightsText = (rights: Rights): string =>
  `${rights.user ? 'u ' : ''}r${rights.writable ? 'w' : '-'}${rights.executable ? 'x' : '-'}`;

/** Every range that maps the byte at `pa`, with the linear address it has there. */
export function whoMaps(list: MappingList, pa: bigint): { mapping: Mapping; va: bigint }[] {
  return list.items
    .filter((mapping) => pa >= mapping.pa && pa < mapping.pa + mapping.size)
    .map((mapping) => ({ mapping, va: mapping.va + (pa - mapping.pa) }));
}
