// SPDX-License-Identifier: GPL-2.0-only
/** Named parts of Linux's linear address space (Documentation: the kernel's x86_64 memory map). */
import type { LayoutData } from '../data/contract';
import { MASK64, parseHex } from './hex';

export interface Region {
  name: string;
  /** For narrow places. */
  short: string;
  start: bigint;
  /** Last byte. */
  last: bigint;
}

const at = (text: string | undefined, fallback: bigint): bigint => (text === undefined ? fallback : parseHex(text));
const TIB = 1n << 40n;
const GIB = 1n << 30n;

/** The regions in rising order; parts between them have no name. KASLR moves the three bases in `layout`. */
export function kernelRegions(levels: number, layout: LayoutData | undefined): Region[] {
  const five = levels === 5;
  const direct = at(layout?.page_offset_base, five ? 0xff11000000000000n : 0xffff888000000000n);
  const vmalloc = at(layout?.vmalloc_base, five ? 0xffa0000000000000n : 0xffffc90000000000n);
  const vmemmap = at(layout?.vmemmap_base, five ? 0xffd4000000000000n : 0xffffea0000000000n);
  const directSize = five ? 4096n * TIB : 64n * TIB;
  const vmallocSize = five ? 12800n * TIB : 32n * TIB;
  const vmemmapSize = five ? 512n * TIB : TIB;
  const end = (start: bigint, size: bigint, next: bigint): bigint => (start + size <= next ? start + size : next) - 1n;
  return [
    {
      name: 'user space (identity map at boot)',
      short: 'user',
      start: 0n,
      last: five ? 0x00ffffffffffffffn : 0x00007fffffffffffn,
    },
    {
      name: 'direct map of all physical memory',
      short: 'direct map',
      start: direct,
      last: end(direct, directSize, vmalloc),
    },
    { name: 'vmalloc and ioremap space', short: 'vmalloc', start: vmalloc, last: end(vmalloc, vmallocSize, vmemmap) },
    {
      name: 'vmemmap: the struct page array',
      short: 'vmemmap',
      start: vmemmap,
      last: end(vmemmap, vmemmapSize, 0xfffffe0000000000n),
    },
    { name: 'cpu_entry_area', short: 'cpu entry', start: 0xfffffe0000000000n, last: 0xfffffe7fffffffffn },
    { name: 'espfix stacks', short: 'espfix', start: 0xffffff0000000000n, last: 0xffffff7fffffffffn },
    { name: 'EFI runtime services', short: 'EFI', start: 0xffffffef00000000n, last: 0xfffffffeffffffffn },
    { name: 'kernel image', short: 'kernel image', start: 0xffffffff80000000n, last: 0xffffffff80000000n + GIB - 1n },
    { name: 'modules', short: 'modules', start: 0xffffffff80000000n + GIB, last: 0xffffffffff1fffffn },
    { name: 'fixmap', short: 'fixmap', start: 0xffffffffff200000n, last: 0xffffffffffdfffffn },
  ];
}

export const regionAt = (regions: Region[], va: bigint): Region | undefined =>
  regions.find((region) => va >= region.start && va <= region.last && va <= MASK64);

/** Where the slots of a table lie that begin with `base`: "kernel half" and the like are for the top table only. */
export const regionsIn = (regions: Region[], first: bigint, last: bigint): Region[] =>
  regions.filter((region) => region.start <= last && region.last >= first);
