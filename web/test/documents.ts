// SPDX-License-Identifier: GPL-2.0-only
/** Documents for tests that no capture can give: a journal of writes, and very large machines. */
import type { EntryRun, ExplorerData, TableData, WriteRun } from '../src/data/contract';
import { captureData } from './support';

const hex = (value: bigint): string => `0x${value.toString(16)}`;

/**
 * A capture with the writes of startup_32, as the specification orders them [R1.5]: level 4, level 3, level 2; the pages are
 * zero before. The cycles are invented.
 */
export function withJournal(): ExplorerData {
  const data = captureData('k6.12-4g-4l');
  const first = data.checkpoints[0] as ExplorerData['checkpoints'][number];
  const pgtable = BigInt(first.root);
  const writes: WriteRun[] = [
    [hex(pgtable), 1, '0x0', '0x0', hex(pgtable + 0x1007n), '0x0', 1, 1000, 0],
    [hex(pgtable + 0x1000n), 4, '0x0', '0x0', hex(pgtable + 0x2007n), '0x1000', 1, 1010, 10],
    [hex(pgtable + 0x2000n), 2048, '0x0', '0x0', '0x183', '0x200000', 1, 1100, 10],
  ];
  data.provenance = {
    origins: [
      { function: '', stage: '', rule: '' },
      { function: 'startup_32', stage: 'decompressor', rule: 'R1.5' },
    ],
    writes,
    ends: data.checkpoints.map(() => 2053),
  };
  data.title = 'a boot with a journal';
  return data;
}

const BASE = 0x100000000n;

/** One checkpoint of a machine whose RAM is `gib` GiB, mapped at 0xffff888000000000 with 2 MiB pages, one table a GiB. */
export function hugeMachine(gib: number): ExplorerData {
  const tables: TableData[] = [];
  const tops: EntryRun[] = [];
  for (let top = 0; top * 512 < gib; top++) {
    const pdpt = BASE + BigInt(top) * 0x1000n;
    tops.push([273 + top, 1, hex(pdpt | 0x67n), '0x0']);
    const count = Math.min(512, gib - top * 512);
    tables.push({
      pa: hex(pdpt),
      level: 3,
      entries: [[0, count, hex((BASE + 0x100000n + BigInt(top) * 0x200000n) | 0x67n), '0x1000']],
    });
    for (let i = 0; i < count; i++) {
      const page = BigInt(top * 512 + i) << 30n;
      tables.push({
        pa: hex(BASE + 0x100000n + BigInt(top * 512 + i) * 0x1000n),
        level: 2,
        entries: [[0, 512, hex(page | 0x1e3n), '0x200000']],
      });
    }
  }
  return document(`${gib} GiB`, tops, tables, [{ start: '0x0', size: hex(BigInt(gib) << 30n), type: 1 }]);
}

/** `count` pages of 4 KiB of which no two are physical neighbours: nothing can be joined. */
export function scatteredPages(count: number): ExplorerData {
  const tables: TableData[] = [];
  const perTable = 512;
  const pts = Math.ceil(count / perTable);
  const pds = Math.ceil(pts / 512);
  tables.push({ pa: hex(BASE + 0x1000n), level: 3, entries: [[0, pds, hex(BASE | 0x10067n), '0x1000']] });
  for (let pd = 0; pd < pds; pd++) {
    tables.push({
      pa: hex(BASE + 0x10000n + BigInt(pd) * 0x1000n),
      level: 2,
      entries: [[0, Math.min(512, pts - pd * 512), hex((BASE + 0x100000n + BigInt(pd) * 0x200000n) | 0x67n), '0x1000']],
    });
  }
  for (let pt = 0; pt < pts; pt++) {
    const pages = Math.min(perTable, count - pt * perTable);
    tables.push({
      pa: hex(BASE + 0x100000n + BigInt(pt) * 0x1000n),
      level: 1,
      entries: [[0, pages, hex((BASE * 2n + BigInt(pt) * 0x400000n) | 0x63n), '0x2000']],
    });
  }
  return document(`${count} pages`, [[0, 1, hex(BASE | 0x1067n), '0x0']], tables, [
    { start: '0x0', size: '0x1000000000', type: 1 },
  ]);
}

function document(
  title: string,
  tops: EntryRun[],
  tables: TableData[],
  e820: { start: string; size: string; type: number }[],
): ExplorerData {
  const root = '0xfffff000';
  return {
    title,
    boot_params: { e820 },
    checkpoints: [
      {
        name: 'the only checkpoint',
        root,
        levels: 4,
        cpu: { cr0: '0x80050033', cr3: root, cr4: '0x20', efer: '0xd01' },
        tables: [{ pa: root, level: 4, entries: tops }, ...tables],
      },
    ],
  };
}

const ARENA = 0x100000000000n; // PML4 slot 32
const USER_TABLE = 0x67n; // P RW US A D
const RW_PAGE = 0x8000000000000067n; // P RW US A D, XD
const RO_PAGE = 0x8000000000000025n; // P US A, XD

/** Tables of one process at `base`: top table and one of each level; `entries` fill the page table at `ARENA`. */
function processTables(base: bigint, entries: EntryRun[], pd: EntryRun[] = []): TableData[] {
  const next = (n: bigint): string => hex((base + n * 0x1000n) | USER_TABLE);
  return [
    { pa: hex(base), level: 4, entries: [[32, 1, next(1n), '0x0']] },
    { pa: hex(base + 0x1000n), level: 3, entries: [[0, 1, next(2n), '0x0']] },
    { pa: hex(base + 0x2000n), level: 2, entries: [[0, 1, next(3n), '0x0'], ...pd] },
    { pa: hex(base + 0x3000n), level: 1, entries },
  ];
}

const page = (pfn: number, flags: bigint): string => hex((BigInt(pfn) << 12n) | flags);

/**
 * Two processes after a fork, and what the first write does: written by hand from the rules of Linux 6.6. P has two
 * pages; the fork makes both read-only and shared; P's write to the first gets a copy, in frame 0x302.
 */
export function copyOnWrite(): ExplorerData {
  const [P, C] = [0x1000000n, 0x1100000n];
  const area = {
    start: hex(ARENA),
    end: hex(ARENA + 0x4000n),
    rights: 'rw-p',
    backing: 'anonymous',
  };
  const cpu = { cr0: '0x80050033', cr3: hex(P), cr4: '0x20', efer: '0xd01' };
  const shared: EntryRun[] = [[0, 2, page(0x300, RO_PAGE), '0x1000']];
  const both = (p: EntryRun[]): TableData[] => [...processTables(P, p), ...processTables(C, shared)];
  const roots = [
    { name: 'P', pa: hex(P), levels: 4 },
    { name: 'C', pa: hex(C), levels: 4 },
  ];
  const family = [
    { name: 'P', root: hex(P), areas: [area], counts: { present: 2 } },
    { name: 'C', root: hex(C), parent: 'P', areas: [area], counts: { present: 2 } },
  ];
  return {
    title: 'copy on write',
    cpu: { phys_bits: 46 },
    boot_params: { e820: [{ start: '0x0', size: '0x40000000', type: 1 }] },
    checkpoints: [
      {
        name: 'start',
        title: 'the start',
        label: 'start',
        root: hex(P),
        levels: 4,
        cpu,
        extra_roots: roots.slice(0, 1),
        tables: processTables(P, [[0, 2, page(0x300, RW_PAGE), '0x1000']]),
        processes: family.slice(0, 1),
        frames: [{ pfn: 0x300, count: 2, kind: 'anon', refcount: 1, mapcount: 1 }],
      },
      {
        name: 'step-1',
        title: 'P fork C',
        label: 'P fork C',
        root: hex(P),
        levels: 4,
        cpu,
        extra_roots: roots,
        tables: both(shared),
        processes: family,
        frames: [{ pfn: 0x300, count: 2, kind: 'anon', refcount: 2, mapcount: 2 }],
        operation: { process: 'P', minflt: 0, majflt: 0, cycles: 2000 },
        story: [{ steps: [{ function: 'dup_mm' }, { function: 'copy_page_range' }] }],
      },
      {
        name: 'step-2',
        title: 'P write 0x100000000000 1',
        label: 'P write',
        root: hex(P),
        levels: 4,
        cpu,
        extra_roots: roots,
        tables: both([
          [0, 1, page(0x302, RW_PAGE), '0x0'],
          [1, 1, page(0x301, RO_PAGE), '0x0'],
        ]),
        processes: family,
        frames: [
          { pfn: 0x300, kind: 'anon', refcount: 1, mapcount: 1 },
          { pfn: 0x301, kind: 'anon', refcount: 2, mapcount: 2 },
          { pfn: 0x302, kind: 'anon', refcount: 1, mapcount: 1 },
        ],
        operation: { process: 'P', minflt: 1, majflt: 0, cycles: 643 },
        story: [
          {
            steps: [
              { function: 'exc_page_fault', what: 'address 0x100000000000, error code 0x7' },
              { function: 'do_wp_page', what: 'others hold references: copy' },
            ],
          },
        ],
      },
    ],
  };
}

/** One process with a swapped page, a PROT_NONE page, a 2 MiB page and a hole, as Linux writes such entries. */
export function everyKindOfPage(): ExplorerData {
  const P = 0x1000000n;
  const inverted = (value: bigint): bigint => value ^ 0xffffffffffffffffn;
  const entries: EntryRun[] = [
    // pte_mkswp: the offset in bits 58:9, inverted; type 0 in bits 63:59.
    [0, 1, hex(inverted(0x2an << 9n) & ((1n << 59n) - 1n) & ~0x1ffn), '0x0'],
    // PROT_NONE: P clear, bit 8 set, the frame number inverted.
    [1, 1, hex((inverted(0x345n << 12n) & 0xffffffffff000n) | 0x8000000000000160n), '0x0'],
    [2, 1, page(0x346, RW_PAGE), '0x0'],
  ];
  return {
    title: 'every kind',
    cpu: { phys_bits: 46 },
    checkpoints: [
      {
        name: 'start',
        root: hex(P),
        levels: 4,
        cpu: { cr0: '0x80050033', cr3: hex(P), cr4: '0x20', efer: '0xd01' },
        tables: processTables(P, entries, [[1, 1, page(0x400, 0x80000000000000e7n), '0x0']]),
        extra_roots: [{ name: 'P', pa: hex(P), levels: 4 }],
        processes: [
          {
            name: 'P',
            root: hex(P),
            areas: [
              { start: hex(ARENA), end: hex(ARENA + 0x4000n), rights: 'rw-p', backing: 'anonymous' },
              { start: hex(ARENA + 0x200000n), end: hex(ARENA + 0x401000n), rights: 'rw-p', backing: 'anonymous' },
            ],
          },
        ],
        frames: [
          { pfn: 0x345, kind: 'anon', refcount: 1, mapcount: 1 },
          { pfn: 0x346, kind: 'zero', refcount: 1, mapcount: 0 },
          { pfn: 0x400, order: 9, kind: 'anon', refcount: 1, mapcount: 1 },
        ],
      },
    ],
  };
}
