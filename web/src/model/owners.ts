// SPDX-License-Identifier: GPL-2.0-only
/** Who owns physical memory at a checkpoint, and with which page size it is mapped. */
import type { Boot, Checkpoint } from './boot';
import type { E820Data, MemblockRegionData } from '../data/contract';
import { parseHex } from './hex';
import type { MappingList } from './mappings';

export type Owner =
  | 'hole'
  | 'firmware'
  | 'acpi'
  | 'ram'
  | 'memblock'
  | 'initrd'
  | 'decompressor'
  | 'text'
  | 'rodata'
  | 'data'
  | 'vmemmap'
  | 'node'
  | 'anon'
  | 'cache'
  | 'table';

export type SizeClass = 'hole' | 'firmware' | 'unmapped' | 'page4k' | 'page2m' | 'page1g';

/** [start, end) with one owner; neighbours differ. */
export interface Segment<Kind extends string = Owner> {
  start: bigint;
  end: bigint;
  kind: Kind;
  label: string;
}

interface Claim<Kind extends string> {
  start: bigint;
  end: bigint;
  kind: Kind;
  label: string;
  priority: number;
}

/** Flattens overlapping claims: at each byte the highest priority wins, of equals the later one. */
export function flatten<Kind extends string>(claims: Claim<Kind>[]): Segment<Kind>[] {
  const real = claims.filter((claim) => claim.end > claim.start);
  const { bounds, starts, ends } = ranks(real);
  const winner: (Claim<Kind> | undefined)[] = new Array<Claim<Kind> | undefined>(bounds.length);
  const pieces = new FreePieces(bounds.length);
  const order = real.map((_, i) => i);
  order.sort((a, b) => (real[b] as Claim<Kind>).priority - (real[a] as Claim<Kind>).priority || b - a);
  for (const i of order) {
    const end = ends[i] as number;
    for (let at = pieces.next(starts[i] as number); at < end; at = pieces.next(at)) {
      winner[at] = real[i];
      pieces.take(at);
    }
  }
  const out: Segment<Kind>[] = [];
  for (let i = 0; i + 1 < bounds.length; i++) {
    const claim = winner[i];
    if (!claim) continue;
    const [start, end] = [bounds[i] as bigint, bounds[i + 1] as bigint];
    const last = out[out.length - 1];
    if (last && last.end === start && last.kind === claim.kind && last.label === claim.label) last.end = end;
    else out.push({ start, end, kind: claim.kind, label: claim.label });
  }
  return out;
}

/** All different bounds in rising order, and each claim's place among them. */
function ranks(claims: { start: bigint; end: bigint }[]): { bounds: bigint[]; starts: number[]; ends: number[] } {
  const edges = claims.flatMap(({ start, end }, i) => [
    { at: start, i, end: false },
    { at: end, i, end: true },
  ]);
  edges.sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0));
  const result = { bounds: [] as bigint[], starts: [] as number[], ends: [] as number[] };
  for (const edge of edges) {
    if (result.bounds[result.bounds.length - 1] !== edge.at) result.bounds.push(edge.at);
    (edge.end ? result.ends : result.starts)[edge.i] = result.bounds.length - 1;
  }
  return result;
}

/** Numbers 0 … n - 1 of which some are taken; finds the next free one in nearly constant time (union-find). */
class FreePieces {
  private readonly link: Int32Array;

  constructor(count: number) {
    this.link = Int32Array.from({ length: count + 1 }, (_, i) => i);
  }

  /** The first free number at or after `from`; `count` if there is none. */
  next(from: number): number {
    let root = from;
    while (this.link[root] !== root) root = this.link[root] as number;
    for (let at = from; at !== root; ) {
      const after = this.link[at] as number;
      this.link[at] = root;
      at = after;
    }
    return root;
  }

  take(number: number): void {
    this.link[number] = number + 1;
  }
}

const E820_NAMES = ['', 'RAM', 'reserved', 'ACPI tables', 'ACPI NVS', 'unusable', 'disabled', 'persistent memory'];

export const e820Name = (type: number): string =>
  E820_NAMES[type] ?? (type === 128 ? 'reserved by the kernel' : `type ${type}`);

function e820Kind(type: number): Owner {
  if (type === 1) return 'ram';
  return type === 3 || type === 4 ? 'acpi' : 'firmware';
}

const range = (start: string, size: string | number): { start: bigint; end: bigint } => {
  const from = parseHex(start);
  return { start: from, end: from + (typeof size === 'number' ? BigInt(size) : parseHex(size)) };
};

/** The map in force: the kernel's own once it exists, else the firmware's. */
export function e820At(boot: Boot, checkpoint: Checkpoint): E820Data[] {
  for (let i = checkpoint.index; i >= 0; i--) {
    const own = boot.checkpoints[i]?.data.e820_kernel;
    if (own) return own;
  }
  return boot.data.boot_params?.e820 ?? [];
}

/**
 * Who asked for each reservation, by the calls that the boot recorded. A request ("alloc_try_nid", …) is followed by the
 * "reserve" that it made; what is freed again belongs to nobody.
 */
export function reservedBy(boot: Boot, checkpoint: Checkpoint): Segment[] {
  const claims: Claim<Owner>[] = [];
  for (const { data } of boot.checkpoints.slice(0, checkpoint.index + 1)) {
    let request = '';
    for (const call of data.memblock_calls ?? []) {
      if (call.base === undefined || call.size === undefined) {
        request = callerName(call.by);
        continue;
      }
      const bounds = range(call.base, call.size);
      if (call.op === 'reserve')
        claims.push({ ...bounds, kind: 'memblock', label: request || callerName(call.by), priority: 0 });
      else if (call.op.includes('free')) claims.push({ ...bounds, kind: 'ram', label: '', priority: 0 });
      request = '';
    }
  }
  return flatten(claims).filter(({ kind, label }) => kind === 'memblock' && label !== '');
}

/** "alloc_node_data+0x46/0x120" is alloc_node_data. */
const callerName = (by: string | undefined): string => (by ?? '').replace(/\+0x.*$/, '');

/** The parts of `pieces` that lie in one of `regions`; both rise. */
function inside(pieces: Segment[], regions: { start: bigint; end: bigint }[]): Segment[] {
  return pieces.flatMap((piece) =>
    regions
      .filter(({ start, end }) => start < piece.end && end > piece.start)
      .map(({ start, end }) => ({
        ...piece,
        start: start > piece.start ? start : piece.start,
        end: end < piece.end ? end : piece.end,
      })),
  );
}

/** The last memblock known at a checkpoint; undefined before the first. */
function memblockAt(boot: Boot, checkpoint: Checkpoint): MemblockRegionData[] | undefined {
  for (let i = checkpoint.index; i >= 0; i--) {
    const memblock = boot.checkpoints[i]?.data.memblock;
    if (memblock) return memblock.reserved;
  }
  return undefined;
}

export function ownersOf(boot: Boot, checkpoint: Checkpoint, mappings: MappingList): Segment[] {
  const claims: Claim<Owner>[] = [];
  const add = (bounds: { start: bigint; end: bigint }, kind: Owner, label: string, priority: number): void => {
    claims.push({ ...bounds, kind, label, priority });
  };
  for (const { start, size, type } of e820At(boot, checkpoint))
    add(range(start, size), e820Kind(type), e820Name(type), type === 1 ? 0 : 1);
  const reserved = (memblockAt(boot, checkpoint) ?? []).map(({ base, size }) => range(base, size));
  for (const region of reserved) add(region, 'memblock', 'memblock reservation', 2);
  for (const piece of inside(reservedBy(boot, checkpoint), reserved))
    add(piece, 'memblock', `memblock: ${piece.label}`, 2);
  addImage(boot, checkpoint, add);
  const ramdisk = boot.data.boot_params?.ramdisk;
  if (ramdisk && ramdisk.size > 0) add(range(ramdisk.start, ramdisk.size), 'initrd', 'initrd', 4);
  const vmemmap = checkpoint.regions.find((region) => region.short === 'vmemmap');
  for (const mapping of mappings.items) {
    if (vmemmap && mapping.va >= vmemmap.start && mapping.va <= vmemmap.last) {
      add({ start: mapping.pa, end: mapping.pa + mapping.size }, 'vmemmap', 'struct page array', 5);
    }
  }
  for (const node of checkpoint.data.nodes ?? []) {
    const size = boot.data.layout?.pglist_data_size;
    if (node.pgdat && size) add(range(node.pgdat, size), 'node', `NODE_DATA(${node.nid})`, 6);
  }
  for (const { pfn, count, order, kind, file } of checkpoint.data.frames ?? []) {
    const start = BigInt(pfn) << 12n;
    const end = start + (BigInt(count ?? 1) << BigInt(12 + (order ?? 0)));
    if (kind === 'anon') add({ start, end }, 'anon', 'anonymous pages of processes', 6);
    else if (kind === 'file') add({ start, end }, 'cache', `page cache: ${file ?? 'file'}`, 6);
  }
  for (const table of [...checkpoint.tables, ...checkpoint.loose]) {
    add({ start: table.pa, end: table.pa + 0x1000n }, 'table', 'page tables', 7);
  }
  return flatten(claims);
}

type Add = (bounds: { start: bigint; end: bigint }, kind: Owner, label: string, priority: number) => void;

const MIB_40 = 40n << 20n;

function addImage(boot: Boot, checkpoint: Checkpoint, add: Add): void {
  const { symbols, data } = boot;
  if (checkpoint.name === 'decompressor.startup_64' || checkpoint.name === 'kernel.startup_64') {
    const base = data.boot_params?.decompressor_base;
    // The copy ends a little below the tables; its size is not recorded, so they bound it.
    const end = boot.pgtable;
    if (base && end !== undefined && end > parseHex(base) && end - parseHex(base) < MIB_40) {
      add({ start: parseHex(base), end }, 'decompressor', 'decompressor and compressed kernel', 3);
    }
    if (checkpoint.name === 'decompressor.startup_64') return;
  }
  const part = (from: string, to: string, kind: Owner, label: string): void => {
    const [start, end] = [symbols.physical(from), symbols.physical(to)];
    if (start !== undefined && end !== undefined) add({ start, end }, kind, label, 3);
  };
  part('_text', '_etext', 'text', 'kernel text');
  part('_etext', '_sdata', 'rodata', 'kernel read-only data');
  part('_sdata', '__bss_start', 'data', 'kernel data and init');
  part('__bss_start', '__bss_stop', 'data', 'kernel .bss');
  part('__brk_base', '_end', 'data', 'kernel brk');
}

/** Physical memory by the largest page that maps it, direct map or not. */
export function sizesOf(boot: Boot, checkpoint: Checkpoint, mappings: MappingList): Segment<SizeClass>[] {
  const claims: Claim<SizeClass>[] = [];
  const ram: { start: bigint; end: bigint }[] = [];
  for (const { start, size, type } of e820At(boot, checkpoint)) {
    const bounds = range(start, size);
    if (type === 1) ram.push(bounds);
    claims.push({
      ...bounds,
      kind: type === 1 ? 'unmapped' : 'firmware',
      label: type === 1 ? 'RAM, not mapped' : e820Name(type),
      priority: type === 1 ? 0 : 1,
    });
  }
  const top = claims.reduce((max, claim) => (claim.end > max ? claim.end : max), 0n);
  const direct = checkpoint.regions.find((region) => region.short === 'direct map');
  for (const mapping of mappings.items) {
    const end = mapping.pa + mapping.size < top ? mapping.pa + mapping.size : top;
    const kind: SizeClass = mapping.level === 1 ? 'page4k' : mapping.level === 2 ? 'page2m' : 'page1g';
    const label = { page4k: '4 KiB pages', page2m: '2 MiB pages', page1g: '1 GiB pages' }[kind as 'page4k'];
    const isDirect = direct !== undefined && mapping.va >= direct.start && mapping.va <= direct.last;
    claims.push({ start: mapping.pa, end, kind, label, priority: isDirect ? 3 : 2 });
  }
  return flatten(claims);
}
