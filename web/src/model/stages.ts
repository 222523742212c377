// SPDX-License-Identifier: GPL-2.0-only
/** What happened before each checkpoint: the document's own words, else those for the checkpoints of a boot capture. */
import type { CheckpointData } from '../data/contract';

export interface Stage {
  /** A short heading for the timeline. */
  short: string;
  summary: string;
  /** The functions responsible, in the order in which they ran. */
  functions: string[];
}

const STAGES: Record<string, Stage> = {
  'decompressor.startup_64': {
    short: 'first tables',
    functions: ['startup_32'],
    summary:
      'Six pages at pgtable map the first 4 GiB to themselves with 2 MiB pages. Paging is on, the CPU is in long mode.',
  },
  'kernel.startup_64': {
    short: 'unpacked',
    functions: ['configure_5level_paging', 'initialize_identity_maps', 'do_boot_page_fault', 'extract_kernel'],
    summary:
      'The kernel has been unpacked to its place. The decompressor still lends it its identity map; the static tables stand as linked.',
  },
  'startup_64_fixups.exit': {
    short: 'fixups',
    functions: ['__startup_64'],
    summary:
      'The static tables are moved by the load delta, and early_dynamic_pgts maps the kernel to itself, for the jump out of the old map.',
  },
  'x86_64_start_kernel.entry': {
    short: 'early_top_pgt',
    functions: ['startup_64', 'common_startup_64'],
    summary: 'CR3 holds early_top_pgt: the kernel runs at its linked address.',
  },
  'reset_early_page_tables.exit': {
    short: 'identity map gone',
    functions: ['reset_early_page_tables'],
    summary:
      'Everything but the kernel’s own slot 511 is removed. From here, a missing mapping is made on demand by the early #PF handler.',
  },
  'setup_arch.entry': {
    short: 'C code',
    functions: ['clear_bss', 'copy_bootdata', '__early_make_pgtable', 'start_kernel'],
    summary: 'init_top_pgt[511] is set, the .bss is cleared, and reading boot_params took the first early page faults.',
  },
  'init_mem_mapping.entry': {
    short: 'E820, memblock',
    functions: [
      'early_ioremap_init',
      'e820__memory_setup',
      'early_alloc_pgt_buf',
      'cleanup_highmap',
      'e820__memblock_setup',
      'reserve_real_mode',
    ],
    summary: 'The memory map is known and memblock holds it. The kernel image’s map has been trimmed to the image.',
  },
  'init_mem_mapping.exit': {
    short: 'direct map',
    functions: [
      'init_mem_mapping',
      'init_memory_mapping',
      'split_mem_range',
      'kernel_physical_mapping_init',
      'alloc_low_pages',
    ],
    summary: 'All RAM is in the direct map, with the largest pages that fit. CR3 is init_top_pgt.',
  },
  'initmem_init.exit': {
    short: 'NUMA',
    functions: ['acpi_boot_table_init', 'initmem_init', 'x86_numa_init', 'alloc_node_data'],
    summary: 'Nodes are known, and memblock knows which memory is whose. Table reads went through the fixmap.',
  },
  'sparse_init.entry': {
    short: 'before sparse',
    functions: ['setup_arch'],
    summary: 'The last look before the struct page array is built.',
  },
  'sparse_init.exit': {
    short: 'vmemmap',
    functions: ['sparse_init', 'sparse_init_nid', 'vmemmap_populate', 'vmemmap_populate_hugepages'],
    summary: 'A struct page for every page frame, mapped at vmemmap with 2 MiB pages of its own node.',
  },
  'free_area_init.exit': {
    short: 'zones',
    functions: ['zone_sizes_init', 'free_area_init', 'memmap_init'],
    summary: 'Zones and struct pages are initialised.',
  },
  'buddy.entry': {
    short: 'before buddy',
    functions: ['io_apic_init_mappings', 'setup_cpu_entry_areas', 'init_espfix_bsp', 'mm_core_init'],
    summary: 'The local APIC sits in the fixmap, the cpu_entry_area has its tables. memblock still owns all memory.',
  },
  'buddy.exit': {
    short: 'buddy',
    functions: ['memblock_free_all'],
    summary: 'Free memory belongs to the buddy allocator.',
  },
  'user.init': {
    short: 'first process',
    functions: ['preallocate_vmalloc_pages', 'free_initmem', 'mark_rodata_ro', 'pti_init', 'run_init_process'],
    summary:
      'Init sections are freed, read-only data is sealed (large pages split for it), and the first user process runs.',
  },
};

export function stageOf(data: CheckpointData): Stage {
  const known = STAGES[data.name];
  return {
    short: data.label ?? known?.short ?? data.name,
    summary: data.summary ?? known?.summary ?? '',
    functions: data.functions ?? known?.functions ?? [],
  };
}
