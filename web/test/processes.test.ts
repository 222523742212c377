// SPDX-License-Identifier: GPL-2.0-only
import { describe, expect, test } from 'vitest';
import type { ExplorerData } from '../src/data/contract';
import { Boot, type Checkpoint } from '../src/model/boot';
import { cellsOf, frameMark, linuxMeaning, pageChanges, ProcessModel, type Area } from '../src/model/processes';
import { outcomeText, toldSteps, warningsOf } from '../src/model/outcome';
import { copyOnWrite, everyKindOfPage } from './documents';

const ARENA = 0x100000000000n;
const models = (data: ExplorerData): ProcessModel[] =>
  new Boot(data).checkpoints.map((checkpoint) => new ProcessModel(checkpoint));
const [start, forked, written] = models(copyOnWrite()) as [ProcessModel, ProcessModel, ProcessModel];
const [every] = models(everyKindOfPage()) as [ProcessModel];

describe('Pages of a process', () => {
  test('lie in its areas, with the frame and the rights that its tables give', () => {
    const pages = start.process('P')?.areas[0]?.pages ?? [];
    expect(pages.map(({ va, pfn, writable, state }) => [va, pfn, writable, state])).toEqual([
      [ARENA, 0x300, true, 'present'],
      [ARENA + 0x1000n, 0x301, true, 'present'],
    ]);
  });

  test('a swap entry names its slot, inverted as Linux stores it', () => {
    expect(every.page('P', ARENA)).toMatchObject({ state: 'swap', slot: 0x2an, pfn: null });
  });

  test('a PROT_NONE entry names its frame, inverted, and is not present for the processor', () => {
    expect(every.page('P', ARENA + 0x1000n)).toMatchObject({ state: 'none', pfn: 0x345, writable: false });
  });

  test('what the processor ignores is told as Linux reads it', () => {
    const at = (va: bigint): bigint => every.page('P', va)?.raw ?? 0n;
    expect(linuxMeaning(at(ARENA), 1)).toContain('area 0, slot 42');
    expect(linuxMeaning(at(ARENA + 0x1000n), 1)).toContain('PROT_NONE: frame 0x345');
    expect(linuxMeaning(at(ARENA + 0x2000n), 1)).toBe('');
    expect(linuxMeaning(0n, 1)).toBe('');
  });

  test('a 2 MiB page is one page, found at each of its addresses', () => {
    const large = every.page('P', ARENA + 0x3ff000n);
    expect(large).toMatchObject({ va: ARENA + 0x200000n, size: 0x200000n, pfn: 0x400 });
    expect(every.page('P', ARENA + 0x400000n)).toBeUndefined();
  });
});

describe('Frames', () => {
  test('after a fork each is mapped by both processes', () => {
    const who = forked.mappers(0x300).map(({ process, va }) => `${process.name} ${va.toString(16)}`);
    expect(who).toEqual(['P 100000000000', 'C 100000000000']);
    expect(forked.frame(0x300)).toMatchObject({ refcount: 2, mapcount: 2, label: 'anonymous' });
  });

  test('are shared by so many pages; of a large page the processes count', () => {
    const page = forked.page('C', ARENA);
    expect(page && forked.sharers(page)).toBe(2);
    const alone = written.page('P', ARENA);
    expect(alone && written.sharers(alone)).toBe(1);
    const swapped = every.page('P', ARENA);
    expect(swapped && every.sharers(swapped)).toBe(0);
    const large = every.page('P', ARENA + 0x200000n);
    expect(large && every.sharers(large)).toBe(1);
  });

  test('a run of frames is one frame each; a compound page is one for all its numbers', () => {
    expect(forked.frames.map(({ pfn }) => pfn)).toEqual([0x300, 0x301]);
    expect(every.frame(0x5ff)?.pfn).toBe(0x400);
    expect(every.frame(0x600)).toBeUndefined();
  });

  test('the page cache numbers the pages of a run', () => {
    const data = copyOnWrite();
    (data.checkpoints[0] as ExplorerData['checkpoints'][number]).frames = [
      { pfn: 0x500, count: 3, kind: 'file', refcount: 1, mapcount: 0, file: 'file 0', index: 4 },
    ];
    expect(models(data)[0]?.frame(0x502)?.label).toBe('file 0, page 6');
  });
});

describe('What a step did', () => {
  test('the fork makes the parent’s entries read-only and gives the child its own', () => {
    expect(pageChanges(start, forked).map(({ process, kind }) => `${process} ${kind}`)).toEqual([
      'P changed',
      'P changed',
      'C added',
      'C added',
    ]);
  });

  test('the first write splits one frame: a new one for the writer, the old one for the other', () => {
    expect(pageChanges(forked, written)).toMatchObject([
      { process: 'P', va: ARENA, kind: 'changed', before: { pfn: 0x300 }, after: { pfn: 0x302, writable: true } },
    ]);
    expect(frameMark(forked.frame(0x302), written.frame(0x302))).toBe('added');
    expect(frameMark(forked.frame(0x300), written.frame(0x300))).toBe('changed');
    expect(frameMark(forked.frame(0x301), written.frame(0x301))).toBeNull();
    expect(written.mappers(0x300).map(({ process }) => process.name)).toEqual(['C']);
  });
});

describe('The picture of an area', () => {
  const area = (pages: number): Area => ({
    start: ARENA,
    end: ARENA + BigInt(pages) * 0x1000n,
    rights: 'rw-p',
    backing: 'anonymous',
    notes: [],
    pages: [],
  });

  test('has a cell for each page while they are few, and groups of equal size when they are many', () => {
    expect(cellsOf(area(4), 256)).toHaveLength(4);
    const many = cellsOf(area(262_144), 256);
    expect(many).toHaveLength(256);
    expect(new Set(many.map(({ size }) => size))).toEqual(new Set([0x400000n]));
  });

  test('covers the area without a gap, whatever its size and its pages', () => {
    for (const model of [start, forked, every]) {
      for (const { areas } of model.processes) {
        for (const one of areas) {
          for (const limit of [1, 2, 3, 100, 1000]) {
            let next = one.start;
            for (const cell of cellsOf(one, limit)) {
              expect(cell.va).toBe(next);
              next = cell.va + cell.size;
            }
            expect(next).toBe(one.end);
            const seen = cellsOf(one, limit).flatMap(({ pages }) => pages);
            expect(new Set(seen)).toEqual(new Set(one.pages));
          }
        }
      }
    }
  });
});

describe('The outcome in words', () => {
  const told = (operation: ExplorerData['checkpoints'][number]['operation']): string =>
    outcomeText({ data: { operation } } as Checkpoint);

  test('names faults, signals and errors', () => {
    expect(told({ process: 'P', minflt: 1, majflt: 2, cycles: 643 })).toBe(
      'P: 1 minor fault, 2 major faults; 643 cycles.',
    );
    expect(told({ process: 'P', signal: { signo: 11, code: 1, address: '0x1000' } })).toBe(
      'P: no page fault; SIGSEGV at 0x1000 (SEGV_MAPERR: no area there).',
    );
    expect(told({ process: 'P', error: 12 })).toBe('P: no page fault; error 12 (ENOMEM).');
  });

  test('tells a function that is passed again and again once', () => {
    const steps = [
      { function: 'a', what: 'x' },
      ...Array.from({ length: 5 }, () => ({ function: 'b' })),
      { function: 'a' },
    ];
    expect(toldSteps(steps, 40)).toEqual([
      { function: 'a', what: 'x', more: 0 },
      { function: 'b', what: '', more: 4 },
      { function: 'a', what: '', more: 0 },
    ]);
    expect(toldSteps(steps, 2)).toHaveLength(2);
  });

  test('warns of stale translations and of writes into somebody else’s page', () => {
    const operation = {
      process: 'P',
      stale: [{ address: '0x1000', pfn: 0x300, writable: true, entry: '0x300025' }],
      foreign_writes: [{ process: 'C', address: '0x1000', pfn: 0x300 }],
    };
    expect(warningsOf({ data: { operation } } as unknown as Checkpoint)).toEqual([
      'Stale write: C did not write, but its private page at 0x1000 (frame 0x300) changed.',
      'The TLB still translates 0x1000 to frame 0x300, writable; the tables say 0x300025.',
    ]);
  });
});
