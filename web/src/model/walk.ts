// SPDX-License-Identifier: GPL-2.0-only
/** A page walk that tells its story (SDM-3A "4-Level Paging and 5-Level Paging", "Access Rights", "Page-Fault Exceptions"). */
import { baseOf, decode, isLeaf, isPresent, patIndex, RW, US, XD, type DecodedEntry, type EntryContext } from './entry';
import { asLevel, indexOf, isCanonical, slotSize, type Level } from './level';

export type AccessKind = 'read' | 'write' | 'fetch';

export interface Access {
  kind: AccessKind;
  user: boolean;
  /** The processor's own access (descriptor tables): supervisor at any privilege, RFLAGS.AC does not help. */
  implicit?: boolean;
}

/** The state of the processor that decides a walk. */
export interface PagingState extends EntryContext {
  levels: 4 | 5;
  wp: boolean;
  smep: boolean;
  smap: boolean;
  /** RFLAGS.AC. */
  ac?: boolean;
  /** PKRU when CR4.PKE = 1, IA32_PKRS when CR4.PKS = 1. */
  pkru?: number;
  pkrs?: number;
}

export interface Rights {
  writable: boolean;
  user: boolean;
  executable: boolean;
}

export interface WalkStep {
  level: Level;
  tablePa: bigint;
  index: number;
  entryPa: bigint;
  entry: DecodedEntry;
  /** Of the path so far, this entry included: R/W and U/S are ANDed, XD is ORed. */
  rights: Rights;
}

export type Cause = 'not-present' | 'reserved' | 'user' | 'write' | 'execute' | 'smep' | 'smap' | 'key';

export type Outcome =
  | { kind: 'translation'; pa: bigint; pageSize: bigint; rights: Rights; patIndex: number }
  | { kind: 'fault'; errorCode: number; causes: Cause[]; level: Level }
  | { kind: 'non-canonical' }
  /** The table is not in the data, so nobody can say. */
  | { kind: 'unknown'; tablePa: bigint; level: Level };

export interface WalkResult {
  va: bigint;
  steps: WalkStep[];
  outcome: Outcome;
}

/** Error code bits of #PF. */
export const ERROR_P = 1;
export const ERROR_WR = 2;
export const ERROR_US = 4;
export const ERROR_RSVD = 8;
export const ERROR_ID = 16;
export const ERROR_PK = 32;

/** The entry at a physical address; undefined when it is not known. */
export type ReadEntry = (entryPa: bigint) => bigint | undefined;

export function walk(read: ReadEntry, cr3: bigint, va: bigint, access: Access, state: PagingState): WalkResult {
  const steps: WalkStep[] = [];
  const done = (outcome: Outcome): WalkResult => ({ va, steps, outcome });
  if (!isCanonical(va, state.levels)) return done({ kind: 'non-canonical' });

  let tablePa = baseOf(cr3 | 1n, 5);
  let rights: Rights = { writable: true, user: true, executable: true };
  for (let number: number = state.levels; number >= 1; number--) {
    const level = asLevel(number);
    const index = indexOf(va, level);
    const entryPa = tablePa + BigInt(index) * 8n;
    const raw = read(entryPa);
    if (raw === undefined) return done({ kind: 'unknown', tablePa, level });

    const entry = decode(raw, level, state);
    if (entry.present) rights = narrowed(rights, raw);
    steps.push({ level, tablePa, index, entryPa, entry, rights });
    if (!isPresent(raw))
      return done({ kind: 'fault', errorCode: accessBits(access, state), causes: ['not-present'], level });
    if (entry.reservedSet !== 0n) {
      return done({
        kind: 'fault',
        errorCode: accessBits(access, state) | ERROR_P | ERROR_RSVD,
        causes: ['reserved'],
        level,
      });
    }
    if (isLeaf(raw, level)) return done(atPage(va, raw, level, rights, access, state));
    tablePa = entry.base;
  }
  throw new Error('a PTE is always a leaf');
}

const narrowed = (rights: Rights, raw: bigint): Rights => ({
  writable: rights.writable && (raw & RW) !== 0n,
  user: rights.user && (raw & US) !== 0n,
  executable: rights.executable && (raw & XD) === 0n,
});

function atPage(va: bigint, raw: bigint, level: Level, rights: Rights, access: Access, state: PagingState): Outcome {
  const key = Number((raw >> 59n) & 15n);
  const causes = denials(rights, key, access, state);
  if (causes.length > 0) {
    const pk = causes.includes('key') ? ERROR_PK : 0;
    return { kind: 'fault', errorCode: accessBits(access, state) | ERROR_P | pk, causes, level };
  }
  const pageSize = slotSize(level);
  return {
    kind: 'translation',
    pa: baseOf(raw, level) | (va & (pageSize - 1n)),
    pageSize,
    rights,
    patIndex: patIndex(raw, level),
  };
}

/** The error code's bits that only depend on the access. */
function accessBits(access: Access, state: PagingState): number {
  const fetchShown = access.kind === 'fetch' && (state.nxe || state.smep);
  return (access.kind === 'write' ? ERROR_WR : 0) | (userMode(access) ? ERROR_US : 0) | (fetchShown ? ERROR_ID : 0);
}

const userMode = (access: Access): boolean => access.user && !access.implicit;

/** Every reason for which the page's rights refuse the access; empty when it is allowed. */
export function denials(rights: Rights, key: number, access: Access, state: PagingState): Cause[] {
  const causes: Cause[] = [];
  const user = userMode(access);
  if (user && !rights.user) causes.push('user');
  if (access.kind === 'write' && !rights.writable && (user || state.wp)) causes.push('write');
  if (access.kind === 'fetch' && !rights.executable) causes.push('execute');
  if (!user && rights.user) {
    if (access.kind === 'fetch' && state.smep) causes.push('smep');
    if (access.kind !== 'fetch' && state.smap && (access.implicit || !state.ac)) causes.push('smap');
  }
  if (keyDenies(rights, key, access, state)) causes.push('key');
  return causes;
}

function keyDenies(rights: Rights, key: number, access: Access, state: PagingState): boolean {
  const register = rights.user ? state.pkru : state.pkrs;
  if (register === undefined || access.kind === 'fetch') return false;
  const bits = (register >>> (2 * key)) & 3;
  if (bits & 1) return true;
  return access.kind === 'write' && (bits & 2) !== 0 && (userMode(access) || state.wp);
}

const CR0_WP = 1n << 16n;
const CR4_LA57 = 1n << 12n;
const CR4_SMEP = 1n << 20n;
const CR4_SMAP = 1n << 21n;
const EFER_NXE = 1n << 11n;

/** The paging state that the control registers describe. Without `levels`, CR4.LA57 decides. */
export function pagingState(cr0: bigint, cr4: bigint, efer: bigint, physBits: number, levels?: number): PagingState {
  return {
    levels: (levels ?? (cr4 & CR4_LA57 ? 5 : 4)) === 5 ? 5 : 4,
    wp: (cr0 & CR0_WP) !== 0n,
    smep: (cr4 & CR4_SMEP) !== 0n,
    smap: (cr4 & CR4_SMAP) !== 0n,
    nxe: (efer & EFER_NXE) !== 0n,
    physBits,
  };
}
