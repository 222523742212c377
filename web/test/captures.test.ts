// SPDX-License-Identifier: GPL-2.0-only
/** Every measured boot in tests/data/captures: the page's model takes it, and its parts agree with each other. */
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import type { Boot } from '../src/model/boot';
import { diff, type Difference } from '../src/model/diff';
import { slotSize } from '../src/model/level';
import { mappingsOf } from '../src/model/mappings';
import { ownersOf, sizesOf } from '../src/model/owners';
import { pictureOf } from '../src/model/picture';
import { walk } from '../src/model/walk';
import { capture } from './support';

const names = readdirSync(fileURLToPath(new URL('../../tests/data/captures', import.meta.url)))
  .filter((name) => name.endsWith('.json.xz'))
  .map((name) => name.replace('.json.xz', ''));

const SAMPLES = 120;

/** Ranges and walks are two ways to the same answer: ends of ranges must translate as the range says. */
function walksAgree(boot: Boot): string[] {
  const wrong: string[] = [];
  for (const checkpoint of boot.checkpoints) {
    const state = { ...checkpoint.state, smap: false };
    for (const root of checkpoint.roots) {
      const { items } = mappingsOf(checkpoint, root);
      const every = Math.max(1, Math.floor(items.length / SAMPLES));
      for (let i = 0; i < items.length; i += every) {
        const mapping = items[i];
        if (!mapping) continue;
        for (const offset of [0n, mapping.size - 1n]) {
          const { outcome } = walk(checkpoint.read, root.pa, mapping.va + offset, { kind: 'read', user: false }, state);
          const right =
            outcome.kind === 'translation' &&
            outcome.pa === mapping.pa + offset &&
            outcome.pageSize === slotSize(mapping.level) &&
            JSON.stringify(outcome.rights) === JSON.stringify(mapping.rights);
          if (!right) wrong.push(`${checkpoint.name} ${root.name} ${mapping.va.toString(16)}+${offset.toString(16)}`);
        }
      }
    }
  }
  return wrong;
}

/** What one direction adds, the other removes. */
const mirrored = (there: Difference, back: Difference): boolean =>
  there.added === back.removed && there.removed === back.added && there.changed === back.changed;

/** Segments rise, are not empty and do not overlap. */
const inOrder = (segments: { start: bigint; end: bigint }[]): boolean =>
  segments.every(({ start, end }, i) => start < end && (i === 0 || (segments[i - 1]?.end ?? 0n) <= start));

describe.each(names)('%s', (name) => {
  const boot = capture(name);

  test('walks agree with the mapped ranges', () => expect(walksAgree(boot)).toEqual([]));

  test('each checkpoint can be drawn and compared', () => {
    boot.checkpoints.forEach((checkpoint, i) => {
      const mappings = mappingsOf(checkpoint, checkpoint.ownRoot);
      expect(mappings.cut).toBe(false);
      expect(inOrder(ownersOf(boot, checkpoint, mappings))).toBe(true);
      expect(inOrder(sizesOf(boot, checkpoint, mappings))).toBe(true);
      expect(pictureOf(checkpoint, true).boxes.length).toBeGreaterThan(2);
      const before = boot.checkpoints[i - 1];
      if (before) expect(mirrored(diff(before, checkpoint), diff(checkpoint, before))).toBe(true);
    });
  });

  test('the end of the boot has a kernel image, a direct map and struct pages', () => {
    const last = boot.checkpoints[boot.checkpoints.length - 1];
    if (!last || (last.name !== 'buddy.exit' && last.name !== 'user.init')) return;
    const owners = new Set(ownersOf(boot, last, mappingsOf(last, last.ownRoot)).map(({ kind }) => kind));
    for (const kind of ['text', 'rodata', 'data', 'table', 'vmemmap', 'ram', 'memblock'] as const)
      expect(owners).toContain(kind);
  });
});
