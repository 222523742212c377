// SPDX-License-Identifier: GPL-2.0-only
import { describe, expect, test } from 'vitest';
import { diff, diffRuns } from '../src/model/diff';
import { bytes, hex, hexGrouped, parseHex, parseTyped } from '../src/model/hex';
import { canonical, indexOf, isCanonical } from '../src/model/level';
import { mappingsOf, rightsText, whoMaps } from '../src/model/mappings';
import { flatten, ownersOf } from '../src/model/owners';
import { islands, makeScale } from '../src/model/piecewise';
import { pictureOf } from '../src/model/picture';
import { kernelRegions, regionAt } from '../src/model/regions';
import { SlotScale } from '../src/model/slotscale';
import { Table } from '../src/model/table';
import { Boot, type Checkpoint } from '../src/model/boot';
import { hugeMachine, scatteredPages, withJournal } from './documents';
import { capture } from './support';

const at = (boot: Boot, name: string): Checkpoint => boot.checkpoint(name) as Checkpoint;
const boot4g = capture('k6.12-4g-4l');

describe('Numbers', () => {
  test('64-bit values stay exact', () => {
    expect(hex(parseHex('0xffffffffffffffff'))).toBe('0xffffffffffffffff');
    expect(hex(parseHex('0x8000000000000001') + 2n)).toBe('0x8000000000000003');
    expect(parseHex('-0x1000')).toBe(-4096n);
    expect(hexGrouped(0xffff888000000000n)).toBe('ffff 8880 0000 0000');
  });
  test('a typed address may have groups, no prefix, and no nonsense', () => {
    expect(parseTyped(' ffff8880`00000000 ')).toBe(0xffff888000000000n);
    expect(parseTyped('0xffff_8880_0000_0000')).toBe(0xffff888000000000n);
    expect(parseTyped('0x1ffffffffffffffff')).toBeNull();
    expect(parseTyped('hello')).toBeNull();
  });
  test('sizes read as people write them', () => {
    expect([17n, 0x9fc00n, 1n << 21n, 1536n << 30n, 5000n << 20n].map(bytes)).toEqual([
      '17 B',
      '639 KiB',
      '2 MiB',
      '1.5 TiB',
      '4.88 GiB',
    ]);
  });
  // Table of Appendix B of the boot specification.
  test.each([
    [0xffff888000000000n, [511, 273, 0, 0]],
    [0xff11000000000000n, [273, 0, 0, 0]],
    [0xffffea0000000000n, [511, 468, 0, 0]],
    [0xffffffff81000000n, [511, 511, 510, 8]],
    [0xffffffffff7ff000n, [511, 511, 511, 507]],
  ] as const)('indices of %s', (va, [l5, l4, l3, l2]) => {
    expect([indexOf(va, 5), indexOf(va, 4), indexOf(va, 3), indexOf(va, 2)]).toEqual([l5, l4, l3, l2]);
  });
  test('canonical form is the sign extension of bit 47 or 56', () => {
    expect(canonical(0x0000800000000000n, 4)).toBe(0xffff800000000000n);
    expect(isCanonical(0x0000800000000000n, 5)).toBe(true);
    expect(isCanonical(0x0100000000000000n, 5)).toBe(false);
  });
});

describe('Tables as runs', () => {
  test('an entry is found in its run, and zero elsewhere', () => {
    const table = Table.from(
      0x1000n,
      2,
      [
        [0, 8, '0x1e3', '0x200000'],
        [511, 1, '0x2067', '0x0'],
      ],
      'here',
    );
    expect([table.entry(0), table.entry(7), table.entry(8), table.entry(511)]).toEqual([
      0x1e3n,
      0xe001e3n,
      0n,
      0x2067n,
    ]);
    expect(table.nextUsed(8, 1)).toBe(511);
    expect(table.nextUsed(510, -1)).toBe(7);
    expect(table.used).toBe(9);
  });
  test('a stride may be negative and wraps at 64 bits', () => {
    expect(Table.from(0n, 1, [[0, 2, '0x1000', '-0x1000']], '').entry(1)).toBe(0n);
    expect(Table.from(0n, 1, [[0, 2, '0xfffffffffffff000', '0x1001']], '').entry(1)).toBe(1n);
  });
  test('runs that overlap or leave the table are refused with their place', () => {
    expect(() =>
      Table.from(
        0n,
        1,
        [
          [0, 9, '0x1', '0x0'],
          [8, 1, '0x1', '0x0'],
        ],
        'the 3rd table',
      ),
    ).toThrow('the 3rd table');
    expect(() => Table.from(0n, 1, [[510, 3, '0x1', '0x0']], 'x')).toThrow();
  });
});

describe('The scale of a bar', () => {
  const table = Table.from(
    0n,
    4,
    [
      [273, 1, '0x2067', '0x0'],
      [511, 1, '0x3067', '0x0'],
    ],
    '',
  );
  test('true to scale, each slot has the same width', () => {
    const scale = new SlotScale(table, 'true', 0);
    expect([scale.left(0), scale.left(256), scale.left(512), scale.index(0.5), scale.index(0.9999)]).toEqual([
      0, 0.5, 1, 256, 511,
    ]);
  });
  test('with used slots large, they can be seen, keep their order, and a click finds them', () => {
    const scale = new SlotScale(table, 'fit', 273);
    for (const index of [273, 511]) {
      expect(scale.left(index + 1) - scale.left(index)).toBeCloseTo(1 / 16);
      expect(scale.index(scale.middle(index))).toBe(index);
    }
    expect(scale.squeezed).toEqual([
      [0, 273],
      [274, 511],
    ]);
    for (let i = 0; i < 512; i++) expect(scale.left(i)).toBeLessThan(scale.left(i + 1));
  });
});

describe('A boot', () => {
  test('knows the kernel’s and the decompressor’s tables by name', () => {
    const fixups = at(boot4g, 'startup_64_fixups.exit');
    expect(fixups.tableName(0x340c000n)).toBe('early_top_pgt');
    expect(fixups.tableName(0x2c2b000n)).toBe('level1_fixmap_pgt[1]');
    expect(at(boot4g, 'decompressor.startup_64').tableName(0x47ce000n)).toBe('pgtable+0x1000');
  });
  test('places tables in the linear address space', () => {
    expect(at(boot4g, 'init_mem_mapping.exit').placeOf(0x3c02000n, 2)?.base).toBe(0xffff888000000000n);
  });
  test('symbols: addresses, physical addresses, and the nearest below', () => {
    expect(boot4g.symbols.parse('startup_64')).toBe(0xffffffff81000b53n);
    expect(boot4g.symbols.parse('_text + 0x10')).toBe(0xffffffff81000010n);
    expect(boot4g.symbols.parse('nothing')).toBeNull();
    expect(boot4g.symbols.physical('init_top_pgt')).toBe(0x2c22000n);
    expect(boot4g.symbols.describe(0xffffffff81000b60n)).toBe('startup_64+0xd');
    expect(boot4g.symbols.describe(0xffff888000000000n)).toBeNull();
  });
});

describe('Regions', () => {
  test('KASLR moves the three bases that the layout names', () => {
    const regions = kernelRegions(4, {
      page_offset_base: '0xffff9a0000000000',
      vmalloc_base: '0xffffb00000000000',
      vmemmap_base: '0xfffff00000000000',
    });
    expect(regionAt(regions, 0xffff9a0000001000n)?.short).toBe('direct map');
    expect(regionAt(regions, 0xfffff00000000000n)?.short).toBe('vmemmap');
    expect(regionAt(regions, 0xffff888000000000n)).toBeUndefined();
  });
});

describe('Mappings', () => {
  test('the decompressor maps 4 GiB to itself as one range', () => {
    const checkpoint = at(capture('k6.6-4g-4l'), 'decompressor.startup_64');
    const { items, pages } = mappingsOf(checkpoint, checkpoint.ownRoot);
    expect(pages).toBe(2048);
    expect(items.every((mapping) => mapping.va === mapping.pa && mapping.level === 2)).toBe(true);
    expect(items.reduce((sum, mapping) => sum + mapping.size, 0n)).toBe(4n << 30n);
  });
  test('1.5 TiB in 2 MiB pages is one range, 70,000 scattered pages are 70,000', () => {
    const huge = new Boot(hugeMachine(1536)).checkpoints[0] as Checkpoint;
    expect(mappingsOf(huge, huge.ownRoot)).toMatchObject({
      pages: 786432,
      items: [{ va: 0xffff888000000000n, size: 1536n << 30n }],
    });
    const scattered = new Boot(scatteredPages(70_000)).checkpoints[0] as Checkpoint;
    expect(mappingsOf(scattered, scattered.ownRoot).items).toHaveLength(70_000);
  });
  test('who maps a byte: direct map and kernel image', () => {
    const checkpoint = at(boot4g, 'init_mem_mapping.exit');
    const ways = whoMaps(mappingsOf(checkpoint, checkpoint.ownRoot), 0x1000123n);
    expect(ways.map(({ va }) => hex(va))).toEqual(['0xffff888001000123', '0xffffffff81000123']);
    expect(ways.map(({ mapping }) => rightsText(mapping.rights))).toEqual(['rw-', 'rwx']);
  });
  test('a table that contains itself ends the list, not the page', () => {
    const loop = new Boot({
      checkpoints: [
        {
          name: 'loop',
          root: '0x1000',
          levels: 4,
          cpu: { cr0: '0x80010001', cr3: '0x1000', cr4: '0x20', efer: '0xd00' },
          tables: [4, 3, 2, 1].map((level) => ({
            pa: '0x1000',
            level,
            entries: [[0, 512, '0x1063', '0x0']] as [number, number, string, string][],
          })),
        },
      ],
    });
    const checkpoint = loop.checkpoints[0] as Checkpoint;
    expect(mappingsOf(checkpoint, checkpoint.ownRoot).cut).toBe(true);
  });
});

describe('Differences', () => {
  test('added, removed and changed entries come as runs', () => {
    const a = [{ index: 0, count: 4, first: 0x1e3n, stride: 0x200000n }];
    const b = [
      { index: 2, count: 4, first: 0x4001e3n, stride: 0x200000n },
      { index: 9, count: 1, first: 1n, stride: 0n },
    ];
    expect(diffRuns(a, b, 0x1000n, 2).map(({ kind, index, count }) => [kind, index, count])).toEqual([
      ['removed', 0, 2],
      ['added', 4, 2],
      ['added', 9, 1],
    ]);
  });
  test('Accessed and Dirty alone are told apart', () => {
    const [change] = diffRuns(
      [{ index: 0, count: 1, first: 0x183n, stride: 0n }],
      [{ index: 0, count: 1, first: 0x1e3n, stride: 0n }],
      0n,
      2,
    );
    expect(change).toMatchObject({ kind: 'changed', adOnly: true });
  });
  test('runs with different strides are compared entry by entry', () => {
    const changes = diffRuns(
      [{ index: 0, count: 3, first: 1n, stride: 0x1000n }],
      [{ index: 0, count: 3, first: 1n, stride: 0x2000n }],
      0n,
      1,
    );
    expect(changes.map(({ index }) => index)).toEqual([1, 2]);
  });
  test('counting entry by entry gives the same', () => {
    for (const [before, after] of [
      ['kernel.startup_64', 'startup_64_fixups.exit'],
      ['buddy.exit', 'user.init'],
    ] as const) {
      const [a, b] = [at(boot4g, before), at(boot4g, after)];
      const all = (checkpoint: Checkpoint): Map<string, bigint> =>
        new Map(
          [...checkpoint.tables, ...checkpoint.loose]
            .flatMap((table) => [...table.entries()].map(({ index, raw }) => [`${table.pa}.${index}`, raw] as const))
            .filter(([, raw]) => raw !== 0n),
        );
      const [old, now] = [all(a), all(b)];
      const result = diff(a, b);
      expect(result.added).toBe([...now.keys()].filter((key) => !old.has(key)).length);
      expect(result.removed).toBe([...old.keys()].filter((key) => !now.has(key)).length);
      expect(result.changed).toBe([...now].filter(([key, raw]) => old.has(key) && old.get(key) !== raw).length);
    }
  });
});

describe('Owners of physical memory', () => {
  test('the highest claim wins, and neighbours are joined', () => {
    const claim = (start: bigint, end: bigint, label: string, priority: number) => ({
      start,
      end,
      kind: 'ram' as const,
      label,
      priority,
    });
    expect(
      flatten([claim(0n, 10n, 'a', 0), claim(2n, 4n, 'b', 2), claim(3n, 6n, 'c', 1), claim(8n, 12n, 'a', 0)]).map(
        ({ start, end, label }) => [start, end, label],
      ),
    ).toEqual([
      [0n, 2n, 'a'],
      [2n, 4n, 'b'],
      [4n, 6n, 'c'],
      [6n, 12n, 'a'],
    ]);
  });
  test('the struct page array of 4 GiB of RAM takes 64 MiB, text starts where the layout says', () => {
    const checkpoint = at(boot4g, 'sparse_init.exit');
    const owners = ownersOf(boot4g, checkpoint, mappingsOf(checkpoint, checkpoint.ownRoot));
    const size = (kind: string): bigint =>
      owners.filter((segment) => segment.kind === kind).reduce((sum, { start, end }) => sum + end - start, 0n);
    expect(size('vmemmap')).toBe(64n << 20n);
    expect(size('table')).toBe(BigInt(checkpoint.tables.length + checkpoint.loose.length) << 12n);
    expect(owners.find((segment) => segment.kind === 'text')).toMatchObject({ start: 0x1000000n, end: 0x2000000n });
  });
  test('a reservation has the name of the function that asked for it', () => {
    const checkpoint = at(boot4g, 'buddy.entry');
    const owners = ownersOf(boot4g, checkpoint, mappingsOf(checkpoint, checkpoint.ownRoot));
    // memblock_calls of the capture: request by acpi_parse_hpet, then reserve 0x17ffc9f00 … + 0x49.
    expect(owners.find(({ start }) => start === 0x17ffc9f00n)).toMatchObject({
      end: 0x17ffc9f49n,
      label: 'memblock: acpi_parse_hpet',
    });
  });
  test('the strip cuts holes short and finds its way back', () => {
    const scale = makeScale([
      { start: 0n, end: 1n << 31n, toScale: true },
      { start: 1n << 32n, end: 3n << 31n, toScale: true },
    ]);
    const x = scale.position(0x123456000n) as number;
    expect(scale.address(x)).toBeGreaterThan(0x123400000n);
    expect(scale.address(x)).toBeLessThan(0x1234a0000n);
    expect(scale.parts.filter((part) => part.cut).every((part) => part.to - part.from < 0.03)).toBe(true);
  });

  test('the physical scale shows RAM of any size: 16 TiB above 1 TiB, as QEMU lays it out', () => {
    const scale = makeScale(
      islands([
        { start: 0x100000n, end: 0x7ffe0000n, ram: true },
        { start: 0xfd00000000n, end: 0x10000000000n, ram: false },
        { start: 0x10000000000n, end: 0x10fff80000000n, ram: true },
      ]),
    );
    const from = scale.position(0x10000000000n) as number;
    const to = scale.position(0x10fff7fffffffn) as number;
    expect(to - from).toBeGreaterThan(0.8);
    expect(scale.address(to)).toBeGreaterThan(0x10ff000000000n);
  });
});

describe('The blackboard', () => {
  test('the decompressor: pgtable names +0x1000, which names four page directories', () => {
    const picture = pictureOf(at(boot4g, 'decompressor.startup_64'), false);
    expect(picture.boxes.map((box) => box.title)).toEqual([
      'pgtable',
      'pgtable+0x1000',
      'pgtable+0x2000',
      'pgtable+0x3000',
      'pgtable+0x4000',
      'pgtable+0x5000',
    ]);
    expect(picture.chips.map((chip) => chip.lines[0])).toEqual(Array(4).fill('512 × 2 MiB · to itself'));
  });
  test('the fixups: early_top_pgt to early_dynamic_pgts and to the kernel’s static tables', () => {
    const picture = pictureOf(at(boot4g, 'startup_64_fixups.exit'), false);
    const title = new Map(picture.boxes.map((box) => [box.pa, box.title]));
    const edges = picture.arrows.map((arrow) => {
      const target = picture.boxes.find(
        (box) => box.x === arrow.to.x && arrow.to.y >= box.y && arrow.to.y <= box.y + box.height,
      );
      return `${title.get(arrow.tablePa)}[${arrow.index}] ${target?.title ?? 'memory'}`;
    });
    expect(edges).toEqual(
      expect.arrayContaining([
        'early_top_pgt[0] early_dynamic_pgts[0]',
        'early_top_pgt[511] level3_kernel_pgt',
        'level3_kernel_pgt[510] level2_kernel_pgt',
        'level3_kernel_pgt[511] level2_fixmap_pgt',
        'level2_fixmap_pgt[506] level1_fixmap_pgt',
        'level2_kernel_pgt[8] memory',
      ]),
    );
  });
  test('boxes of a column never overlap', () => {
    for (const checkpoint of boot4g.checkpoints) {
      const { boxes } = pictureOf(checkpoint, true);
      for (const box of boxes)
        expect(
          boxes.some(
            (other) =>
              other !== box && other.x === box.x && other.y < box.y + box.height && box.y < other.y + other.height,
          ),
        ).toBe(false);
    }
  });
});

describe('Provenance', () => {
  const boot = new Boot(withJournal());
  test('a word’s history has function, stage, rule, cycle and the values', () => {
    const pa = 0x47cf000n + 8n;
    expect(boot.provenance?.history(pa, 2053)).toMatchObject([
      { before: 0n, after: 0x200183n, cycle: 1110, sequence: 6, origin: { function: 'startup_32', rule: 'R1.5' } },
    ]);
    expect(boot.provenance?.history(pa, 6)).toEqual([]);
  });
  test('functions between two checkpoints are counted', () => {
    expect(boot.provenance?.functionsBetween(-1, 0)).toEqual([{ name: 'startup_32', writes: 2053 }]);
    expect(boot.provenance?.functionsBetween(0, 1)).toEqual([]);
  });
});
