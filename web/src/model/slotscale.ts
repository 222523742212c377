// SPDX-License-Identifier: GPL-2.0-only
/** Where the 512 slots of a table lie on a bar: to scale, or with the empty ones squeezed so that the used ones can be seen. */
import { ENTRIES } from './level';
import type { Table } from './table';

export type BarScale = 'true' | 'fit';

/** Used slots never get more than a sixteenth of the bar each. */
const MIN_TOTAL = 16;
const EMPTY_SHARE = 0.35;
const SQUEEZE_FROM = 3;

export class SlotScale {
  /** Left edge of each slot as a share of the width; [512] = 1. */
  private readonly edges: Float64Array;
  /** Runs of empty slots that are not to scale: [first, end). */
  readonly squeezed: [number, number][] = [];

  constructor(table: Table, mode: BarScale, selected: number) {
    this.edges = Float64Array.from({ length: ENTRIES + 1 }, (_, i) => i / ENTRIES);
    if (mode === 'fit') this.fit(table, selected);
  }

  left(index: number): number {
    return this.edges[Math.min(ENTRIES, Math.max(0, index))] as number;
  }

  middle(index: number): number {
    return (this.left(index) + this.left(index + 1)) / 2;
  }

  /** The slot at a share of the width. */
  index(share: number): number {
    let low = 0;
    let high = ENTRIES - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.edges[middle] as number) <= share) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  private fit(table: Table, selected: number): void {
    const used = new Uint8Array(ENTRIES);
    for (const { index } of table.entries()) used[index] = 1;
    used[selected] = 1;
    for (let i = 0; i < ENTRIES; i++) {
      let end = i;
      while (end < ENTRIES && !used[end]) end++;
      if (end - i >= SQUEEZE_FROM) this.squeezed.push([i, end]);
      i = Math.max(i, end - 1);
    }
    const squeezedSlots = this.squeezed.reduce((sum, [from, end]) => sum + end - from, 0);
    if (squeezedSlots === 0) return;
    const full = ENTRIES - squeezedSlots;
    const room = Math.max(MIN_TOTAL - full, full * EMPTY_SHARE);
    const roots = this.squeezed.reduce((sum, [from, end]) => sum + Math.sqrt(end - from), 0);
    const weights = new Float64Array(ENTRIES).fill(1);
    for (const [from, end] of this.squeezed)
      weights.fill((room * Math.sqrt(end - from)) / roots / (end - from), from, end);
    let at = 0;
    for (let i = 0; i < ENTRIES; i++) {
      this.edges[i] = at / (full + room);
      at += weights[i] as number;
    }
    this.edges[ENTRIES] = 1;
  }
}
