// SPDX-License-Identifier: GPL-2.0-only
/** The kernel's names for linear addresses, and for the tables that have a name of their own. */
import type { LayoutData } from '../data/contract';
import { hex, parseHex } from './hex';

const TABLE_SYMBOLS = [
  'early_top_pgt',
  'init_top_pgt',
  'level3_ident_pgt',
  'level2_ident_pgt',
  'level4_kernel_pgt',
  'level3_kernel_pgt',
  'level2_kernel_pgt',
  'level2_fixmap_pgt',
  'level1_fixmap_pgt',
  'bm_pte',
  'espfix_pud_page',
];
const EARLY_DYNAMIC_PAGE_TABLES = 64;
const PAGE = 0x1000n;

export class Symbols {
  private readonly byName = new Map<string, bigint>();
  private readonly sorted: { name: string; va: bigint }[];
  private readonly tableNames = new Map<bigint, string>();

  constructor(private readonly layout: LayoutData | undefined) {
    for (const [name, address] of Object.entries(layout?.symbols ?? {})) this.byName.set(name, parseHex(address));
    // Addresses below 2^32 are offsets in the per-CPU section.
    this.sorted = [...this.byName].map(([name, va]) => ({ name, va })).filter(({ va }) => va >= 1n << 32n);
    this.sorted.sort((a, b) => (a.va < b.va ? -1 : a.va > b.va ? 1 : 0));
    this.nameTables();
  }

  get names(): string[] {
    return this.sorted.map(({ name }) => name);
  }

  address(name: string): bigint | undefined {
    return this.byName.get(name);
  }

  /** Physical address of a symbol of the kernel image; undefined when it or the image's place is unknown. */
  physical(name: string): bigint | undefined {
    const va = this.byName.get(name);
    const text = this.byName.get('_text');
    if (va === undefined || text === undefined || !this.layout?.text_pa) return undefined;
    return va - text + parseHex(this.layout.text_pa);
  }

  /** "init_top_pgt+0x888" for an address inside the kernel image; null elsewhere. */
  describe(va: bigint): string | null {
    const end = this.byName.get('_end');
    const first = this.sorted[0];
    if (!first || va < first.va || end === undefined || va >= end) return null;
    let best = first;
    for (const symbol of this.sorted) {
      if (symbol.va > va) break;
      if (symbol.va > best.va || symbol.name === '_text') best = symbol;
    }
    return va === best.va ? best.name : `${best.name}+${hex(va - best.va)}`;
  }

  /** "symbol" or "symbol+0x10"; null if there is no such symbol. */
  parse(text: string): bigint | null {
    const match = /^([A-Za-z_][\w.]*)(?:\s*\+\s*(0x[0-9a-f]+|\d+))?$/i.exec(text.trim());
    const va = match?.[1] === undefined ? undefined : this.byName.get(match[1]);
    if (va === undefined) return null;
    return BigInt.asUintN(64, va + (match?.[2] ? BigInt(match[2]) : 0n));
  }

  /** The kernel's own name of the table at a physical address. */
  tableName(pa: bigint): string | undefined {
    return this.tableNames.get(pa);
  }

  private nameTables(): void {
    for (const name of TABLE_SYMBOLS) {
      const pa = this.physical(name);
      if (pa !== undefined) this.tableNames.set(pa, name);
    }
    const top = this.physical('init_top_pgt');
    if (top !== undefined && !this.tableNames.has(top + PAGE)) this.tableNames.set(top + PAGE, 'init_top_pgt.user');
    const fixmap = this.physical('level1_fixmap_pgt');
    if (fixmap !== undefined) this.tableNames.set(fixmap + PAGE, 'level1_fixmap_pgt[1]');
    const dynamic = this.physical('early_dynamic_pgts');
    for (let i = 0n; dynamic !== undefined && i < EARLY_DYNAMIC_PAGE_TABLES; i++) {
      this.tableNames.set(dynamic + i * PAGE, `early_dynamic_pgts[${i}]`);
    }
  }
}
