// SPDX-License-Identifier: GPL-2.0-only
/** What differs between two checkpoints, entry by entry, as runs. */
import type { Checkpoint } from './boot';
import { A, D } from './entry';
import { MASK64 } from './hex';
import { type Level } from './level';
import { runValue, type Run, Table } from './table';

export type ChangeKind = 'added' | 'removed' | 'changed';

/** `count` neighbouring entries of one table that changed in the same way. */
export interface Change {
  kind: ChangeKind;
  tablePa: bigint;
  level: Level;
  index: number;
  count: number;
  before: bigint;
  beforeStride: bigint;
  after: bigint;
  afterStride: bigint;
  /** Only Accessed or Dirty differ: the processor's doing. */
  adOnly: boolean;
}

export interface Difference {
  changes: Change[];
  added: number;
  removed: number;
  changed: number;
  tablesAdded: number;
  tablesRemoved: number;
}

const EMPTY: readonly Run[] = [];

/** Tables present in only one of the two count as all zero in the other. */
export function diff(before: Checkpoint, after: Checkpoint): Difference {
  const result: Difference = { changes: [], added: 0, removed: 0, changed: 0, tablesAdded: 0, tablesRemoved: 0 };
  const old = tablesByFrame(before);
  const now = tablesByFrame(after);
  const frames = [...new Set([...old.keys(), ...now.keys()])];
  const pairs = frames.map((pa) => ({
    pa,
    a: old.get(pa),
    b: now.get(pa),
    level: (now.get(pa) ?? (old.get(pa) as Table)).level,
  }));
  pairs.sort((x, y) => y.level - x.level || (x.pa < y.pa ? -1 : 1));
  for (const { pa, a, b, level } of pairs) {
    if (!a) result.tablesAdded++;
    if (!b) result.tablesRemoved++;
    for (const change of diffRuns(a?.runs ?? EMPTY, b?.runs ?? EMPTY, pa, level)) {
      result.changes.push(change);
      result[change.kind] += change.count;
    }
  }
  return result;
}

function tablesByFrame(checkpoint: Checkpoint): Map<bigint, Table> {
  const map = new Map<bigint, Table>();
  for (const table of [...checkpoint.tables, ...checkpoint.loose]) {
    if (!map.has(table.pa)) map.set(table.pa, table);
  }
  return map;
}

interface Piece {
  first: bigint;
  stride: bigint;
}

/** The differences of two tables' runs. */
export function diffRuns(a: readonly Run[], b: readonly Run[], tablePa: bigint, level: Level): Change[] {
  const cuts = new Set<number>();
  for (const run of [...a, ...b]) cuts.add(run.index).add(run.index + run.count);
  const bounds = [...cuts].sort((x, y) => x - y);
  const out: Change[] = [];
  for (let i = 0; i + 1 < bounds.length; i++) {
    const index = bounds[i] as number;
    const count = (bounds[i + 1] as number) - index;
    comparePiece(out, pieceAt(a, index), pieceAt(b, index), { tablePa, level, index, count });
  }
  return out;
}

function pieceAt(runs: readonly Run[], index: number): Piece {
  const run = runs.find((r) => index >= r.index && index < r.index + r.count);
  return run ? { first: runValue(run, index - run.index), stride: run.stride } : { first: 0n, stride: 0n };
}

type Place = Pick<Change, 'tablePa' | 'level' | 'index' | 'count'>;

function comparePiece(out: Change[], before: Piece, after: Piece, place: Place): void {
  if (before.stride === after.stride || place.count === 1) {
    if (before.first !== after.first) push(out, before, after, place);
    return;
  }
  if (isZero(before) || isZero(after)) {
    push(out, before, after, place);
    return;
  }
  for (let k = 0; k < place.count; k++) {
    const x = { first: valueAt(before, k), stride: 0n };
    const y = { first: valueAt(after, k), stride: 0n };
    if (x.first !== y.first) push(out, x, y, { ...place, index: place.index + k, count: 1 });
  }
}

const isZero = (piece: Piece): boolean => piece.first === 0n && piece.stride === 0n;
const valueAt = (piece: Piece, k: number): bigint => (piece.first + BigInt(k) * piece.stride) & MASK64;

function push(out: Change[], before: Piece, after: Piece, place: Place): void {
  const kind: ChangeKind = isZero(before) ? 'added' : isZero(after) ? 'removed' : 'changed';
  const adOnly =
    kind === 'changed' && before.stride === after.stride && ((before.first ^ after.first) & ~(A | D)) === 0n;
  out.push({
    ...place,
    kind,
    before: before.first,
    beforeStride: before.stride,
    after: after.first,
    afterStride: after.stride,
    adOnly,
  });
}
