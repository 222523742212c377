// SPDX-License-Identifier: GPL-2.0-only
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { decode, fieldsOf, flagText, patIndex, type EntryContext } from '../src/model/entry';
import { hex, parseHex } from '../src/model/hex';
import { asLevel } from '../src/model/level';
import { testData } from './support';

const CPU: EntryContext = { physBits: 46, nxe: true };

/** The format of test-data/decoder-vectors*.json; test-data/README.md explains it. */
interface DecoderVector {
  level: number;
  raw: string;
  phys_bits: number;
  nxe: boolean;
  present: boolean;
  maps_page: boolean;
  base: string;
  page_log2: number | null;
  reserved: string;
  pat: boolean | null;
  key: number | null;
}

const exported = 'decoder-vectors-cpp.json';
const files = ['decoder-vectors.json'];
if (existsSync(fileURLToPath(new URL(`../test-data/${exported}`, import.meta.url)))) files.push(exported);

describe.each(files)('The decoder agrees with %s', (file) => {
  test.each(testData<DecoderVector[]>(file).map((vector) => [`level ${vector.level} ${vector.raw}`, vector] as const))(
    '%s',
    (_name, vector) => {
      const level = asLevel(vector.level);
      const context = { physBits: vector.phys_bits, nxe: vector.nxe };
      const entry = decode(parseHex(vector.raw), level, context);
      const fields = fieldsOf(entry.raw, level, context);
      const value = (name: string): bigint | undefined =>
        fields.find((field) => field.name === name && field.kind !== 'reserved')?.value;
      expect({
        present: entry.present,
        maps_page: entry.leaf,
        base: hex(entry.base),
        page_log2: entry.pageSize === null ? null : entry.pageSize.toString(2).length - 1,
        reserved: hex(entry.reservedSet),
        pat: entry.leaf ? value('PAT') === 1n : null,
        key: entry.leaf ? Number(value('PK')) : null,
      }).toEqual({
        present: vector.present,
        maps_page: vector.maps_page,
        base: vector.base,
        page_log2: vector.page_log2,
        reserved: vector.reserved,
        pat: vector.pat,
        key: vector.key,
      });
    },
  );
});

describe('The fields of an entry', () => {
  const raws = [0n, 0x2007n, 0x80n, 0x8000000000200123n, 0xffffffffffffffffn, 0xfffffffffffffffen, 0x1e3n, 0x80n | 1n];
  test.each([1, 2, 3, 4, 5].flatMap((level) => raws.map((raw) => [level, hex(raw)] as const)))(
    'level %i, %s: cover each of the 64 bits once and rebuild the entry',
    (level, raw) => {
      const value = parseHex(raw);
      const fields = fieldsOf(value, asLevel(level), CPU);
      let next = 63;
      for (const field of fields) {
        expect(field.hi).toBe(next);
        next = field.lo - 1;
      }
      expect(next).toBe(-1);
      expect(fields.reduce((sum, field) => sum | (field.value << BigInt(field.lo)), 0n)).toBe(value);
    },
  );

  test('bit 7 is PAT in a PTE, PS in a PDE and PDPTE, reserved above', () => {
    const bit7 = (level: 1 | 2 | 3 | 4 | 5): string | undefined =>
      fieldsOf(1n, level, CPU).find((field) => field.lo === 7)?.name;
    expect([bit7(1), bit7(2), bit7(3), bit7(4), bit7(5)]).toEqual(['PAT', 'PS', 'PS', 'Rsvd', 'Rsvd']);
  });

  test('bit 63 is reserved while IA32_EFER.NXE = 0', () => {
    const entry = decode(1n | (1n << 63n), 1, { physBits: 52, nxe: false });
    expect(entry.reservedSet).toBe(1n << 63n);
    expect(fieldsOf(entry.raw, 1, { physBits: 52, nxe: false })[0]).toMatchObject({ kind: 'reserved', hi: 63 });
  });
});

describe('Flags in words', () => {
  // Linux's composite values, from the specification's table of flag constants.
  test.each([
    [0x063n, 2, 'P RW A'],
    [0x067n, 3, 'P RW US A'],
    [0x1e3n, 2, 'P RW A D PS G'],
    [0x183n, 2, 'P RW PS G'],
    [0x8000000000000163n, 1, 'P RW A D G XD'],
    [0x800000000000017bn, 1, 'P RW PWT PCD A D G XD'],
    [0n, 1, '–'],
  ] as const)('%s at level %i is %s', (raw, level, text) => expect(flagText(raw, level)).toBe(text));

  test('the PAT index is PAT, PCD, PWT: UC is 3 with the kernel’s 0x18', () => {
    expect(patIndex(0x17bn, 1)).toBe(3);
    expect(patIndex(0x10e3n, 2)).toBe(4);
    expect(patIndex(0x1e3n, 1)).toBe(4);
  });
});
