// SPDX-License-Identifier: GPL-2.0-only
/** A boot as objects: checkpoints with their tables, made from the document and checked on the way. */
import type { CheckpointData, ExplorerData, LayoutData } from '../data/contract';
import { parseHex } from './hex';
import { asLevel, slotAddress, type Level } from './level';
import { isTable, baseOf } from './entry';
import { Provenance } from './provenance';
import { kernelRegions, type Region } from './regions';
import { stageOf, type Stage } from './stages';
import { Symbols } from './symbols';
import { Table } from './table';
import { pagingState, type PagingState, type ReadEntry } from './walk';

export interface Root {
  name: string;
  pa: bigint;
  levels: 4 | 5;
}

/** How a table can be reached: the linear address of its first slot, by the first path found. */
export interface TablePlace {
  root: Root;
  base: bigint;
}

const OWN_ROOT = '';
/** Size of the decompressor's table area: names of the form pgtable+0x1000. */
const BOOT_PGT_SIZE = 0x20000n;

export class Checkpoint {
  readonly name: string;
  /** For people. */
  readonly title: string;
  readonly state: PagingState;
  readonly roots: Root[];
  readonly regions: Region[];
  readonly stage: Stage;
  /** Tables that a root reaches, in the document's order. */
  readonly tables: Table[] = [];
  /** Named tables that no root reaches. */
  readonly loose: Table[] = [];
  private readonly frames = new Map<bigint, Table>();
  private readonly byKey = new Map<string, Table>();
  private readonly names = new Map<bigint, string>();
  private places: Map<string, TablePlace> | null = null;

  constructor(
    readonly index: number,
    readonly data: CheckpointData,
    private readonly boot: Boot,
  ) {
    this.name = data.name;
    this.title = data.title ?? data.name;
    const { cr0, cr4, efer } = data.cpu;
    const levels = data.levels === 5 ? 5 : 4;
    this.state = pagingState(parseHex(cr0), parseHex(cr4), parseHex(efer), boot.physBits, levels);
    this.roots = [{ name: OWN_ROOT, pa: parseHex(data.root), levels }];
    for (const root of data.extra_roots ?? []) {
      this.roots.push({ name: root.name, pa: parseHex(root.pa), levels: root.levels === 5 ? 5 : 4 });
    }
    this.regions = kernelRegions(levels, { ...boot.data.layout, ...basesOf(data) });
    this.stage = stageOf(data);
    this.readTables();
  }

  get ownRoot(): Root {
    return this.roots[0] as Root;
  }

  table(pa: bigint, level: Level): Table | undefined {
    return this.byKey.get(key(pa, level)) ?? this.frames.get(pa);
  }

  /** Any table in the frame at `pa`. */
  tableAt(pa: bigint): Table | undefined {
    return this.frames.get(pa);
  }

  /** The 8 bytes at `pa` if they lie in a known table. */
  readonly read: ReadEntry = (pa) => this.frames.get(pa & ~0xfffn)?.entry(Number((pa >> 3n) & 511n));

  tableName(pa: bigint): string | undefined {
    return this.names.get(pa);
  }

  /** The linear address of a table's first slot; undefined when no root reaches it. */
  placeOf(pa: bigint, level: Level): TablePlace | undefined {
    this.places ??= this.findPlaces();
    return this.places.get(key(pa, level));
  }

  private readTables(): void {
    for (const [i, table] of this.data.tables.entries()) {
      this.add(
        Table.from(parseHex(table.pa), asLevel(table.level ?? 0), table.entries, `${this.name}, table ${i}`),
        this.tables,
      );
    }
    for (const table of this.data.extra_tables ?? []) {
      const pa = parseHex(table.pa);
      this.names.set(pa, table.name);
      if (this.frames.has(pa)) continue;
      this.add(
        Table.from(pa, asLevel(table.level ?? guessLevel(table.entries)), table.entries, `${this.name}, ${table.name}`),
        this.loose,
      );
    }
    for (const table of this.frames.values()) {
      if (this.names.has(table.pa)) continue;
      const name = this.boot.symbols.tableName(table.pa) ?? this.decompressorName(table.pa);
      if (name !== undefined) this.names.set(table.pa, name);
    }
    for (const root of this.roots) {
      if (root.name !== OWN_ROOT && root.name !== 'cr3' && !this.names.has(root.pa)) this.names.set(root.pa, root.name);
    }
  }

  private add(table: Table, to: Table[]): void {
    to.push(table);
    this.byKey.set(key(table.pa, table.level), table);
    if (!this.frames.has(table.pa)) this.frames.set(table.pa, table);
  }

  private decompressorName(pa: bigint): string | undefined {
    const base = this.boot.pgtable;
    if (base === undefined || pa < base || pa > base + BOOT_PGT_SIZE) return undefined;
    if (pa === base) return 'pgtable';
    return pa === base + BOOT_PGT_SIZE ? 'top_pgtable' : `pgtable+0x${(pa - base).toString(16)}`;
  }

  private findPlaces(): Map<string, TablePlace> {
    const places = new Map<string, TablePlace>();
    const visit = (root: Root, pa: bigint, level: Level, base: bigint): void => {
      const table = this.table(pa, level);
      if (!table || places.has(key(pa, level))) return;
      places.set(key(pa, level), { root, base });
      if (level === 1) return;
      for (const { index, raw } of table.entries()) {
        if (isTable(raw, level))
          visit(root, baseOf(raw, level), (level - 1) as Level, slotAddress(base, level, index, root.levels));
      }
    };
    for (const root of this.roots) visit(root, root.pa, root.levels, 0n);
    return places;
  }
}

/** The kernel's own variables, where a checkpoint has them: KASLR sets them in the middle of the boot. */
function basesOf({ globals }: CheckpointData): LayoutData {
  const bases: LayoutData = {};
  for (const name of ['page_offset_base', 'vmalloc_base', 'vmemmap_base'] as const) {
    const value = globals?.[name];
    if (typeof value === 'string') bases[name] = value;
  }
  return bases;
}

const key = (pa: bigint, level: Level): string => `${pa.toString(16)}.${level}`;

/** Level of an `early_dynamic_pgts` page, which any level may use: large pages are Linux's early PMDs, else a table of tables. */
function guessLevel(entries: CheckpointData['tables'][number]['entries']): number {
  return entries.some(([, , first]) => (parseHex(first) & 0x80n) !== 0n) ? 2 : 3;
}

export class Boot {
  readonly title: string;
  readonly physBits: number;
  readonly symbols: Symbols;
  readonly provenance: Provenance | null;
  readonly checkpoints: Checkpoint[];
  /** Where startup_32 put its tables, if the document begins there. */
  readonly pgtable: bigint | undefined;

  constructor(readonly data: ExplorerData) {
    if (!Array.isArray(data.checkpoints) || data.checkpoints.length === 0)
      throw new RangeError('the document has no checkpoint');
    this.title = data.title ?? data.name ?? 'boot';
    this.physBits = data.cpu?.phys_bits ?? 52;
    this.symbols = new Symbols(data.layout);
    this.provenance = data.provenance ? new Provenance(data.provenance) : null;
    const first = data.checkpoints[0];
    this.pgtable = first?.name === 'decompressor.startup_64' ? parseHex(first.root) : undefined;
    this.checkpoints = data.checkpoints.map((checkpoint, index) => new Checkpoint(index, checkpoint, this));
  }

  /** Whether it is a run of processes: the page then begins with them. */
  get hasProcesses(): boolean {
    return this.checkpoints.some(({ data }) => data.processes !== undefined);
  }

  checkpoint(name: string): Checkpoint | undefined {
    return this.checkpoints.find((checkpoint) => checkpoint.name === name);
  }
}
