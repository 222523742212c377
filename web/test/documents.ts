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
