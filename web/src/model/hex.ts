// SPDX-License-Identifier: GPL-2.0-only
/** Exact 64-bit numbers as people write them. Every address and entry of the page is a BigInt. */

export const MASK64 = (1n << 64n) - 1n;

/** "0x1f" or "-0x1000" to a BigInt. Throws SyntaxError on anything else. */
export function parseHex(text: string): bigint {
  const match = /^(-?)0x([0-9a-f]+)$/i.exec(text);
  if (!match) throw new SyntaxError(`not a hexadecimal number: "${text}"`);
  const value = BigInt(`0x${match[2]}`);
  return match[1] ? -value : value;
}

/** What a person types: with or without 0x, "_", "`" and blanks between digits; null if it is no 64-bit number. */
export function parseTyped(text: string): bigint | null {
  const digits = text
    .trim()
    .replace(/[_`'\s]/g, '')
    .replace(/^0x/i, '');
  if (!/^[0-9a-f]{1,16}$/i.test(digits)) return null;
  return BigInt(`0x${digits}`);
}

export function hex(value: bigint): string {
  return value < 0n ? `-0x${(-value).toString(16)}` : `0x${value.toString(16)}`;
}

/** All 16 digits in groups of four: "ffff 8880 0000 0000". */
export function hexGrouped(value: bigint): string {
  return value
    .toString(16)
    .padStart(16, '0')
    .replace(/(.{4})(?=.)/g, '$1 ');
}

export function binary(value: bigint, bits: number): string {
  return value.toString(2).padStart(bits, '0');
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'];

/** "2 MiB", "639 KiB", "1.5 TiB", "17 B": the largest unit that leaves at least 1, at most two decimals. */
export function bytes(size: bigint): string {
  let unit = 0;
  while (unit + 1 < UNITS.length && size >= 1n << BigInt(10 * (unit + 1))) unit++;
  const scale = 1n << BigInt(10 * unit);
  const hundredths = (size * 100n + scale / 2n) / scale;
  const whole = hundredths / 100n;
  const rest = (hundredths % 100n).toString().padStart(2, '0').replace(/0+$/, '');
  return `${whole}${rest ? `.${rest}` : ''} ${UNITS[unit]}`;
}

export function plural(count: number | bigint, one: string, many = `${one}s`): string {
  return `${count.toLocaleString('en')} ${count === 1 || count === 1n ? one : many}`;
}

export const minBig = (a: bigint, b: bigint): bigint => (a < b ? a : b);
export const maxBig = (a: bigint, b: bigint): bigint => (a > b ? a : b);
