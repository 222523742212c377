// SPDX-License-Identifier: GPL-2.0-only
/** A page table as runs: 512 entries rarely need more than a handful of them. */
import type { EntryRun } from '../data/contract';
import { MASK64, parseHex } from './hex';
import { ENTRIES, type Level } from './level';

/** `count` entries from `index` on, the k-th of them `first + k * stride`; never zero as a whole. */
export interface Run {
  index: number;
  count: number;
  first: bigint;
  stride: bigint;
}

export const runValue = (run: Run, k: number): bigint => (run.first + BigInt(k) * run.stride) & MASK64;

export class Table {
  readonly runs: readonly Run[];

  constructor(
    readonly pa: bigint,
    readonly level: Level,
    runs: Run[],
  ) {
    this.runs = runs;
  }

  static from(pa: bigint, level: Level, entries: EntryRun[], where: string): Table {
    const runs = entries.map(([index, count, first, stride]) => ({
      index,
      count,
      first: parseHex(first),
      stride: parseHex(stride),
    }));
    let next = 0;
    for (const run of runs) {
      if (run.index < next || run.count < 1 || run.index + run.count > ENTRIES) {
        throw new RangeError(`${where}: runs of entries overlap, are out of order or leave the table`);
      }
      next = run.index + run.count;
    }
    return new Table(pa, level, runs);
  }

  entry(index: number): bigint {
    let low = 0;
    let high = this.runs.length - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      const run = this.runs[middle] as Run;
      if (index < run.index) high = middle - 1;
      else if (index >= run.index + run.count) low = middle + 1;
      else return runValue(run, index - run.index);
    }
    return 0n;
  }

  /** How many entries the runs cover: those that are not zero. */
  get used(): number {
    return this.runs.reduce((sum, run) => sum + run.count, 0);
  }

  *entries(): Generator<{ index: number; raw: bigint }> {
    for (const run of this.runs) {
      for (let k = 0; k < run.count; k++) yield { index: run.index + k, raw: runValue(run, k) };
    }
  }

  /** The first entry that is not zero at or after `index` (`step` 1) or at or before it (`step` -1); null if none. */
  nextUsed(index: number, step: 1 | -1): number | null {
    for (let i = index; i >= 0 && i < ENTRIES; i += step) {
      if (this.entry(i) !== 0n) return i;
    }
    return null;
  }
}
