// SPDX-License-Identifier: GPL-2.0-only
/** Who wrote which entry, when, and what was there before. */
import type { OriginData, ProvenanceData } from '../data/contract';
import { MASK64, parseHex } from './hex';

export interface Write {
  /** Place in the order of all writes, from 0. */
  sequence: number;
  pa: bigint;
  before: bigint;
  after: bigint;
  origin: OriginData;
  cycle: number;
}

/** Neighbouring writes by one origin; `count` words, 8 bytes apart. */
export interface WriteRun {
  sequence: number;
  pa: bigint;
  count: number;
  before: bigint;
  beforeStride: bigint;
  after: bigint;
  afterStride: bigint;
  origin: OriginData;
  cycle: number;
  cycleStride: number;
}

/** The simulated MMU writes too: Accessed and Dirty. */
export function originName(origin: OriginData): string {
  if (origin.function === 'MMU') return 'the processor (A, D)';
  return origin.function || 'unnamed';
}

const NOBODY: OriginData = { function: 'unknown', stage: '', rule: '' };

export class Provenance {
  /** Number of single writes. */
  readonly total: number;
  readonly runs: WriteRun[] = [];
  private readonly byFrame = new Map<bigint, WriteRun[]>();

  constructor(private readonly data: ProvenanceData) {
    let sequence = 0;
    for (const [pa, count, before, beforeStride, after, afterStride, origin, cycle, cycleStride] of data.writes) {
      const run: WriteRun = {
        sequence,
        count,
        cycle,
        cycleStride,
        pa: parseHex(pa),
        before: parseHex(before),
        beforeStride: parseHex(beforeStride),
        after: parseHex(after),
        afterStride: parseHex(afterStride),
        origin: data.origins[origin] ?? NOBODY,
      };
      this.runs.push(run);
      for (let frame = run.pa >> 12n; frame <= (run.pa + 8n * BigInt(count - 1)) >> 12n; frame++) {
        const list = this.byFrame.get(frame);
        if (list) list.push(run);
        else this.byFrame.set(frame, [run]);
      }
      sequence += count;
    }
    this.total = sequence;
  }

  /** How many single writes had been made when checkpoint `index` was taken. */
  end(index: number): number {
    return this.data.ends[index] ?? this.total;
  }

  /** Every write to the word at `pa` before the write number `end`, oldest first. */
  history(pa: bigint, end: number): Write[] {
    const out: Write[] = [];
    for (const run of this.byFrame.get(pa >> 12n) ?? []) {
      const k = (pa - run.pa) >> 3n;
      if (pa < run.pa || k >= BigInt(run.count) || run.sequence + Number(k) >= end) continue;
      out.push(single(run, Number(k)));
    }
    return out;
  }

  /** Functions with their number of writes between two checkpoints (by index; -1 = from the start), in order of first write. */
  functionsBetween(from: number, to: number): { name: string; writes: number }[] {
    const begin = from < 0 ? 0 : this.end(from);
    const end = this.end(to);
    const found = new Map<string, number>();
    for (const run of this.runs) {
      const inside = Math.min(end, run.sequence + run.count) - Math.max(begin, run.sequence);
      const name = originName(run.origin);
      if (inside > 0) found.set(name, (found.get(name) ?? 0) + inside);
    }
    return [...found].map(([name, writes]) => ({ name, writes }));
  }
}

function single(run: WriteRun, k: number): Write {
  const big = BigInt(k);
  return {
    sequence: run.sequence + k,
    pa: run.pa + 8n * big,
    before: (run.before + big * run.beforeStride) & MASK64,
    after: (run.after + big * run.afterStride) & MASK64,
    origin: run.origin,
    cycle: run.cycle + k * run.cycleStride,
  };
}
