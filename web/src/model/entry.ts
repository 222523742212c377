// SPDX-License-Identifier: GPL-2.0-only
/** One paging-structure entry, bit by bit, as the manual names them (SDM-3A "Paging", tables of the entry formats). */
import { bytes, hex } from './hex';
import { entryName, structureName, slotSize, type Level } from './level';

export const P = 1n << 0n;
export const RW = 1n << 1n;
export const US = 1n << 2n;
export const PWT = 1n << 3n;
export const PCD = 1n << 4n;
export const A = 1n << 5n;
export const D = 1n << 6n;
export const PS = 1n << 7n;
export const G = 1n << 8n;
export const PAT_LARGE = 1n << 12n;
export const XD = 1n << 63n;

const ADDRESS_52 = ((1n << 52n) - 1n) & ~0xfffn;

/** What decides the meaning of a bit besides the level. */
export interface EntryContext {
  /** MAXPHYADDR. */
  physBits: number;
  /** IA32_EFER.NXE: without it bit 63 is reserved. */
  nxe: boolean;
  /** Bit 8 of a PML4E and PML5E must be zero on AMD and is ignored by Intel. */
  vendor?: 'intel' | 'amd';
  /** CPUID Page1GB; without it bit 7 of a PDPTE is reserved. */
  gbPages?: boolean;
}

export type FieldKind = 'flag' | 'address' | 'ignored' | 'reserved' | 'key';

/** A group of bits with one meaning. */
export interface Field {
  hi: number;
  lo: number;
  /** The SDM's name: "R/W". */
  name: string;
  title: string;
  value: bigint;
  meaning: string;
  kind: FieldKind;
}

export interface DecodedEntry {
  raw: bigint;
  level: Level;
  present: boolean;
  /** Maps a page (as opposed to naming a table). */
  leaf: boolean;
  /** Base of the page or of the table; 0 when not present. */
  base: bigint;
  /** Bytes of the page; null for a table or nothing. */
  pageSize: bigint | null;
  /** Bits that are reserved here and yet 1: a walk that meets them faults. */
  reservedSet: bigint;
}

export const isPresent = (raw: bigint): boolean => (raw & P) !== 0n;
export const isLeaf = (raw: bigint, level: Level): boolean =>
  isPresent(raw) && (level === 1 || (level <= 3 && (raw & PS) !== 0n));
export const isTable = (raw: bigint, level: Level): boolean => isPresent(raw) && !isLeaf(raw, level);

/** Base of the page or next table: bits 51:12, less what lies below the page size (and so without PAT of a large page). */
export function baseOf(raw: bigint, level: Level): bigint {
  const base = raw & ADDRESS_52;
  return isLeaf(raw, level) ? base & ~(slotSize(level) - 1n) : base;
}

/** Bits that must be zero in a present entry. */
export function reservedMask(raw: bigint, level: Level, context: EntryContext): bigint {
  let mask = ((1n << 52n) - 1n) & ~((1n << BigInt(context.physBits)) - 1n);
  if (!context.nxe) mask |= XD;
  if (level >= 4) {
    mask |= PS;
    if (context.vendor === 'amd') mask |= G;
  }
  if (level === 3 && context.gbPages === false) mask |= PS;
  if (isLeaf(raw, level) && level > 1) mask |= (slotSize(level) - 1n) & ~0x1fffn;
  return mask;
}

export function decode(raw: bigint, level: Level, context: EntryContext): DecodedEntry {
  const present = isPresent(raw);
  const leaf = isLeaf(raw, level);
  return {
    raw,
    level,
    present,
    leaf,
    base: present ? baseOf(raw, level) : 0n,
    pageSize: leaf ? slotSize(level) : null,
    reservedSet: present ? raw & reservedMask(raw, level, context) : 0n,
  };
}

/** "P RW US A D PS G XD": the flags that are 1, in the manual's order; "–" when there is none. */
export function flagText(raw: bigint, level: Level): string {
  const names: [bigint, string][] = [
    [P, 'P'],
    [RW, 'RW'],
    [US, 'US'],
    [PWT, 'PWT'],
    [PCD, 'PCD'],
    [A, 'A'],
    [D, 'D'],
  ];
  const leaf = isLeaf(raw, level);
  names.push([PS, level === 1 ? 'PAT' : 'PS']);
  if (leaf) names.push([G, 'G']);
  if (leaf && level > 1) names.push([PAT_LARGE, 'PAT']);
  names.push([XD, 'XD']);
  if (!leaf && isPresent(raw)) names.splice(6, 1);
  return (
    names
      .filter(([bit]) => (raw & bit) !== 0n)
      .map(([, name]) => name)
      .join(' ') || '–'
  );
}

const bitsOf = (raw: bigint, hi: number, lo: number): bigint =>
  (raw >> BigInt(lo)) & ((1n << BigInt(hi - lo + 1)) - 1n);

/** The fields of an entry from bit 63 down to bit 0; together they cover all 64 bits once. */
export function fieldsOf(raw: bigint, level: Level, context: EntryContext): Field[] {
  const out: Field[] = [];
  const add = (
    hi: number,
    lo: number,
    kind: FieldKind,
    name: string,
    title: string,
    meaning: string | ((v: bigint) => string),
  ): void => {
    const value = bitsOf(raw, hi, lo);
    out.push({ hi, lo, kind, name, title, value, meaning: typeof meaning === 'string' ? meaning : meaning(value) });
  };
  if (!isPresent(raw)) {
    add(63, 1, 'ignored', 'Ignored', 'Ignored', (v) =>
      v === 0n
        ? 'the processor ignores every other bit of an entry that is not present'
        : 'ignored by the processor; software may keep anything here',
    );
    add(0, 0, 'flag', 'P', 'Present', 'no translation through this entry: an access faults');
    return out;
  }
  addHighFields(add, raw, level, context);
  addAddressFields(add, raw, level, context);
  addLowFields(add, raw, level, context);
  return out;
}

type Add = (
  hi: number,
  lo: number,
  kind: FieldKind,
  name: string,
  title: string,
  meaning: string | ((v: bigint) => string),
) => void;

function addHighFields(add: Add, raw: bigint, level: Level, context: EntryContext): void {
  if (context.nxe) {
    add(63, 63, 'flag', 'XD', 'Execute-disable', (v) =>
      v ? 'no instruction fetches through this entry' : 'this entry does not forbid instruction fetches',
    );
  } else {
    add(63, 63, 'reserved', 'XD', 'Reserved while IA32_EFER.NXE = 0', (v) =>
      v ? 'set although reserved: a walk faults' : 'must be 0',
    );
  }
  if (isLeaf(raw, level)) {
    add(
      62,
      59,
      'key',
      'PK',
      'Protection key',
      (v) => `key ${v}; counts only with CR4.PKE (user pages) or CR4.PKS (supervisor pages)`,
    );
    add(58, 52, 'ignored', 'Ignored', 'Ignored, for software', softwareHigh);
  } else {
    add(62, 52, 'ignored', 'Ignored', 'Ignored, for software', softwareHigh);
  }
}

const softwareHigh = (v: bigint): string =>
  v === 0n
    ? 'free for software; Linux keeps DEVMAP and SAVED_DIRTY here'
    : 'used by software; the processor ignores it';

function addAddressFields(add: Add, raw: bigint, level: Level, context: EntryContext): void {
  const top = context.physBits - 1;
  if (top < 51) {
    add(51, top + 1, 'reserved', 'Rsvd', 'Reserved: beyond MAXPHYADDR', (v) =>
      v
        ? 'set although reserved: a walk faults'
        : `must be 0: this processor has ${context.physBits} physical address bits`,
    );
  }
  const leaf = isLeaf(raw, level);
  const base = baseOf(raw, level);
  if (!leaf) {
    const next = structureName((level - 1) as Level);
    add(top, 12, 'address', 'Address', `Address of the ${next}`, `the ${next} lies at ${hex(base)}`);
    return;
  }
  const low = 12 + 9 * (level - 1);
  add(
    top,
    low,
    'address',
    'Address',
    'Address of the page',
    `the ${bytes(slotSize(level))} page begins at ${hex(base)}`,
  );
  if (level > 1) {
    add(low - 1, 13, 'reserved', 'Rsvd', 'Reserved', (v) =>
      v ? 'set although reserved: a walk faults' : 'must be 0 in a large page',
    );
    add(
      12,
      12,
      'flag',
      'PAT',
      'Page attribute table, bit 12 of a large page',
      `with PCD and PWT it selects PAT entry ${patIndex(raw, level)}`,
    );
  }
}

/** Index into the PAT that a leaf selects: PAT, PCD, PWT. */
export function patIndex(raw: bigint, level: Level): number {
  const pat = level === 1 ? PS : PAT_LARGE;
  return (raw & pat ? 4 : 0) | (raw & PCD ? 2 : 0) | (raw & PWT ? 1 : 0);
}

function addLowFields(add: Add, raw: bigint, level: Level, context: EntryContext): void {
  const leaf = isLeaf(raw, level);
  add(11, 11, 'ignored', 'R', 'Ignored (HLAT restart)', 'ignored by ordinary paging; Linux keeps SOFT_DIRTY here');
  add(
    10,
    9,
    'ignored',
    'Ignored',
    'Ignored, for software',
    'ignored by the processor; Linux: bit 9 SPECIAL, bit 10 UFFD_WP',
  );
  if (leaf) {
    add(8, 8, 'flag', 'G', 'Global', (v) =>
      v ? 'with CR4.PGE the translation survives a load of CR3' : 'a load of CR3 drops the translation',
    );
  } else if (level >= 4 && context.vendor === 'amd') {
    add(8, 8, 'reserved', 'Rsvd', 'Reserved on AMD', (v) => (v ? 'set although reserved: a walk faults' : 'must be 0'));
  } else {
    add(8, 8, 'ignored', 'Ignored', 'Ignored', 'ignored: only an entry that maps a page can be global');
  }
  addBit7(add, level, context);
  if (leaf) {
    add(6, 6, 'flag', 'D', 'Dirty', (v) =>
      v ? 'the page has been written' : 'not written since software last cleared this',
    );
  } else {
    add(6, 6, 'ignored', 'Ignored', 'Ignored', 'ignored: only an entry that maps a page has a dirty flag');
  }
  add(5, 5, 'flag', 'A', 'Accessed', (v) =>
    v ? 'a walk has used this entry' : 'not used since software last cleared this',
  );
  const target = leaf ? 'page' : structureName((level - 1) as Level);
  add(
    4,
    4,
    'flag',
    'PCD',
    'Page-level cache disable',
    (v) => `bit 1 of the PAT index for accesses to the ${target}: ${v}`,
  );
  add(
    3,
    3,
    'flag',
    'PWT',
    'Page-level write-through',
    (v) => `bit 0 of the PAT index for accesses to the ${target}: ${v}`,
  );
  add(2, 2, 'flag', 'U/S', 'User/supervisor', (v) =>
    v ? 'user mode is not shut out by this entry' : 'no user-mode access through this entry',
  );
  add(1, 1, 'flag', 'R/W', 'Read/write', (v) =>
    v ? 'writes are not forbidden by this entry' : 'no writes through this entry (a supervisor may while CR0.WP = 0)',
  );
  add(
    0,
    0,
    'flag',
    'P',
    'Present',
    leaf ? `maps a ${bytes(slotSize(level))} page` : `names a ${structureName((level - 1) as Level)}`,
  );
}

function addBit7(add: Add, level: Level, context: EntryContext): void {
  if (level === 1) {
    add(7, 7, 'flag', 'PAT', 'Page attribute table', (v) => `bit 2 of the PAT index: ${v}`);
  } else if (level >= 4 || (level === 3 && context.gbPages === false)) {
    add(7, 7, 'reserved', 'Rsvd', 'Reserved', (v) =>
      v ? 'set although reserved: a walk faults' : `must be 0: a ${entryName(level)} cannot map a page here`,
    );
  } else {
    add(7, 7, 'flag', 'PS', 'Page size', (v) =>
      v
        ? `this entry maps a ${bytes(slotSize(level))} page`
        : `this entry names a ${structureName((level - 1) as Level)}`,
    );
  }
}
