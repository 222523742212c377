// SPDX-License-Identifier: GPL-2.0-only
/**
 * The one JSON document that the page shows. docs/explorer-data.md explains it; a boot capture is a valid document.
 * Addresses, table entries and masks are strings, "0x…", lower case; page frame numbers, counts and sizes are numbers.
 */

/** "0x…", lower case; a stride may be negative: "-0x1000". */
export type Hex = string;

/** [index, count, first, stride]: `count` entries from `index` on, the k-th of them `first + k * stride`. */
export type EntryRun = [index: number, count: number, first: Hex, stride: Hex];

export interface TableData {
  pa: Hex;
  /** 5 (PML5) … 1 (PT); null only for an `extra_tables` member whose level varies. */
  level: number | null;
  entries: EntryRun[];
}

export interface NamedTableData extends TableData {
  name: string;
}

export interface RootData {
  name: string;
  pa: Hex;
  levels: number;
}

export interface CpuData {
  cr0: Hex;
  cr2?: Hex;
  cr3: Hex;
  cr4: Hex;
  efer: Hex;
  rip?: Hex;
  rsp?: Hex;
}

export interface E820Data {
  start: Hex;
  size: Hex;
  type: number;
}

export interface MemblockRegionData {
  base: Hex;
  size: Hex;
  nid: number;
  flags: number;
}

export interface MemblockData {
  memory: MemblockRegionData[];
  reserved: MemblockRegionData[];
}

export interface MemblockCallData {
  op: string;
  base?: Hex;
  size?: Hex | number;
  by?: string;
}

export interface NodeData {
  nid: number;
  pgdat?: Hex;
  node_start_pfn: number;
  node_spanned_pages: number;
}

export interface ZoneData {
  nid: number;
  name: string;
  start_pfn: number;
  spanned: number;
  present: number;
  managed: number;
}

/** An area of a process's address space. */
export interface AreaData {
  start: Hex;
  /** The byte after the last one. */
  end: Hex;
  /** As in /proc/PID/maps: "rw-p", "r--s". */
  rights: string;
  /** What its pages come from: "anonymous", "file 0 (ext4)". */
  backing: string;
  /** Of a file: the byte at which the area begins. */
  offset?: Hex;
  /** "grows down", "locked", … */
  notes?: string[];
}

export interface ProcessData {
  name: string;
  /** Its top table. */
  root: Hex;
  parent?: string;
  /** Ascending. */
  areas: AreaData[];
  /** What the kernel counts, in the order in which it is shown: {"table pages": 3, …}. */
  counts?: Record<string, number>;
}

export type FrameKind = 'anon' | 'file' | 'zero';

/** A page frame that processes or the page cache use; with `order` a compound page of 2^order frames. */
export interface FrameData {
  pfn: number;
  /** So many frames, one after the other, of which the same holds; `index` rises by one. Absent: 1. */
  count?: number;
  order?: number;
  kind: FrameKind;
  refcount: number;
  /** How many entries map it. */
  mapcount: number;
  /** Names of page flags. */
  flags?: string[];
  file?: string;
  /** Page of the file. */
  index?: number;
}

/** One way through the kernel: the functions passed, what they decided, and how often it was taken in a row. */
export interface StoryData {
  steps: { function: string; what?: string }[];
  times?: number;
}

/** What was done on the way to a checkpoint of a run of processes. */
export interface OperationData {
  process: string;
  minflt?: number;
  majflt?: number;
  signal?: { signo: number; code: number; address: Hex };
  /** Of a system call that failed: errno. */
  error?: number;
  cycles?: number;
  /** Page frames allocated and freed by anybody, tables included. */
  allocated?: number;
  freed?: number;
  /** Counters of /proc/vmstat that grew, and by how much. */
  counters?: Record<string, number>;
  /** Processes that the OOM killer took. */
  killed?: string[];
  /** What the TLB still holds although the tables say otherwise. */
  stale?: { address: Hex; pfn: number; writable: boolean; entry: Hex }[];
  /** Private pages that somebody else has written. */
  foreign_writes?: { process: string; address: Hex; pfn: number }[];
}

export interface CheckpointData {
  name: string;
  /** A heading instead of `name`: "P write 0x100000000000 4". */
  title?: string;
  /** A short heading for the timeline. */
  label?: string;
  cpu: CpuData;
  root: Hex;
  levels: number;
  extra_roots?: RootData[];
  tables: TableData[];
  extra_tables?: NamedTableData[];
  memblock?: MemblockData;
  memblock_calls?: MemblockCallData[];
  globals?: Record<string, unknown>;
  e820_kernel?: E820Data[];
  nodes?: NodeData[];
  zones?: ZoneData[];
  early_faults?: Hex[];
  /** Functions responsible for what changed since the checkpoint before, in the order in which they ran. */
  functions?: string[];
  /** One or two sentences about the stage. */
  summary?: string;
  /** Simulated time at this checkpoint. */
  cycle?: number;
  /** In a run of processes: those that live now, in the order of their birth. */
  processes?: ProcessData[];
  /** Page frames in use by processes and the page cache, ascending. */
  frames?: FrameData[];
  operation?: OperationData;
  story?: StoryData[];
}

export interface LayoutData {
  phys_base?: Hex;
  text_pa?: Hex;
  page_offset_base?: Hex;
  vmalloc_base?: Hex;
  vmemmap_base?: Hex;
  struct_page_size?: number;
  pglist_data_size?: number;
  symbols?: Record<string, Hex>;
}

export interface BootParamsData {
  e820: E820Data[];
  ramdisk?: { start: Hex; size: number };
  decompressor_base?: Hex;
}

export interface OriginData {
  function: string;
  stage: string;
  rule: string;
}

/**
 * [pa, count, before, before stride, after, after stride, origin, cycle, cycle stride]: `count` writes of aligned 8-byte
 * words, one after another in time and, 8 bytes apart, in memory; `origin` is an index into `origins`.
 */
export type WriteRun = [
  pa: Hex,
  count: number,
  before: Hex,
  beforeStride: Hex,
  after: Hex,
  afterStride: Hex,
  origin: number,
  cycle: number,
  cycleStride: number,
];

export interface ProvenanceData {
  origins: OriginData[];
  /** In order of time. */
  writes: WriteRun[];
  /** For each checkpoint, in order: how many single writes (runs counted in full) had been made by then. */
  ends: number[];
}

export interface ExplorerData {
  format?: string;
  name?: string;
  title?: string;
  kernel?: { release?: string; series?: string; version?: string };
  cmdline?: string;
  cpu?: { phys_bits?: number; features?: string[]; vendor?: string };
  boot_params?: BootParamsData;
  acpi_tables?: { sig: string; pa: Hex; len: number }[] | null;
  layout?: LayoutData;
  checkpoints: CheckpointData[];
  provenance?: ProvenanceData;
}
