// SPDX-License-Identifier: GPL-2.0-only
/** Levels of the paging structures: 1 = page table … 5 = PML5 (SDM-3A "4-Level Paging and 5-Level Paging"). */

export type Level = 1 | 2 | 3 | 4 | 5;

export const ENTRIES = 512;

const STRUCTURE = ['', 'PT', 'PD', 'PDPT', 'PML4', 'PML5'] as const;

/** "PML4": the structure. */
export const structureName = (level: Level): string => STRUCTURE[level];
/** "PML4E": an entry of it. */
export const entryName = (level: Level): string => `${STRUCTURE[level]}E`;

/** Linux's word for an entry of this level; with 4 levels p4d is folded into pgd. */
export function linuxName(level: Level, levels: number): string {
  if (level === 5 || (level === 4 && levels === 4)) return 'pgd';
  return { 4: 'p4d', 3: 'pud', 2: 'pmd', 1: 'pte' }[level];
}

/** Lowest bit of the linear address that indexes a table of this level. */
export const indexShift = (level: Level): bigint => BigInt(12 + 9 * (level - 1));
export const indexOf = (va: bigint, level: Level): number => Number((va >> indexShift(level)) & 511n);
/** Bytes of linear address space that one entry of this level covers. */
export const slotSize = (level: Level): bigint => 1n << indexShift(level);

export const asLevel = (value: number): Level => {
  if (value < 1 || value > 5 || !Number.isInteger(value)) throw new RangeError(`no paging level ${value}`);
  return value as Level;
};

/** Sign-extends bit 47 (4 levels) or 56 (5 levels). */
export function canonical(va: bigint, levels: number): bigint {
  const bits = levels === 5 ? 57n : 48n;
  return BigInt.asUintN(64, BigInt.asIntN(Number(bits), va));
}

export const isCanonical = (va: bigint, levels: number): boolean => canonical(va, levels) === va;

/** Linear address of entry `index` in a table of `level` that covers the space from `base` on. */
export const slotAddress = (base: bigint, level: Level, index: number, levels: number): bigint =>
  canonical(base + BigInt(index) * slotSize(level), levels);
