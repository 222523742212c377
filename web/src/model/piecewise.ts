// SPDX-License-Identifier: GPL-2.0-only
/** A scale for physical memory: RAM gets room by size, holes are cut short and marked as cut. */

export interface ScalePart {
  start: bigint;
  end: bigint;
  /** Place on the strip, 0 … 1. */
  from: number;
  to: number;
  /** A hole or a far reserved island, not drawn to scale. */
  cut: boolean;
}

export interface Scale {
  parts: ScalePart[];
  position(address: bigint): number | null;
  address(position: number): bigint;
}

interface Island {
  start: bigint;
  end: bigint;
}

const CUT_SHARE = 0.018;
const MIN_SHARE = 0.03;

/**
 * @param islands  what must be seen, ascending, not overlapping, true: to scale, false: cut short
 */
export function makeScale(islands: (Island & { toScale: boolean })[]): Scale {
  const pieces: (Island & { toScale: boolean })[] = [];
  let last = 0n;
  for (const island of islands) {
    if (island.start > last) pieces.push({ start: last, end: island.start, toScale: false });
    pieces.push(island);
    last = island.end;
  }
  if (pieces.length === 0) pieces.push({ start: 0n, end: 1n << 32n, toScale: true });
  const joined = joinCuts(pieces);
  const total = joined
    .filter((piece) => piece.toScale)
    .reduce((sum, piece) => sum + Number(piece.end - piece.start), 0);
  const shares = joined.map((piece) =>
    piece.toScale ? Math.max(MIN_SHARE, Number(piece.end - piece.start) / Math.max(total, 1)) : CUT_SHARE,
  );
  const sum = shares.reduce((a, b) => a + b, 0);
  let at = 0;
  const parts = joined.map((piece, i) => {
    const from = at;
    at += (shares[i] as number) / sum;
    return { start: piece.start, end: piece.end, from, to: at, cut: !piece.toScale };
  });
  return { parts, position: (address) => position(parts, address), address: (x) => address(parts, x) };
}

function joinCuts(pieces: (Island & { toScale: boolean })[]): (Island & { toScale: boolean })[] {
  const out: (Island & { toScale: boolean })[] = [];
  for (const piece of pieces) {
    const previous = out[out.length - 1];
    if (previous && !previous.toScale && !piece.toScale) previous.end = piece.end;
    else if (previous && previous.toScale && piece.toScale && previous.end === piece.start) previous.end = piece.end;
    else out.push({ ...piece });
  }
  return out;
}

function position(parts: ScalePart[], address: bigint): number | null {
  const part = parts.find((p) => address >= p.start && address < p.end);
  if (!part) return null;
  return part.from + (Number(address - part.start) / Number(part.end - part.start)) * (part.to - part.from);
}

function address(parts: ScalePart[], x: number): bigint {
  const part = parts.find((p) => x < p.to) ?? (parts[parts.length - 1] as ScalePart);
  const share = Math.min(1, Math.max(0, (x - part.from) / (part.to - part.from)));
  const offset = BigInt(Math.floor(share * Number(part.end - part.start)));
  const value = part.start + offset;
  return value < part.end ? value : part.end - 1n;
}

/** Reserved ranges as wide as this are windows for devices, not memory; RAM of any size is shown. */
const DEVICE_WINDOW = 1n << 42n;

/** RAM to scale, anything else cut short; what lies close together is one island. */
export function islands(
  map: { start: bigint; end: bigint; ram: boolean }[],
): { start: bigint; end: bigint; toScale: boolean }[] {
  const sorted = map
    .filter((entry) => entry.end > entry.start && (entry.ram || entry.end - entry.start < DEVICE_WINDOW))
    .sort((a, b) => (a.start < b.start ? -1 : 1));
  const out: { start: bigint; end: bigint; toScale: boolean }[] = [];
  for (const { start, end, ram } of sorted) {
    const last = out[out.length - 1];
    const from = last && last.end > start ? last.end : start;
    if (end <= from) continue;
    const near = last?.toScale === true && from - last.end <= 1n << 20n;
    const small = end - from <= 1n << 20n;
    if (near && (ram || small)) last.end = end;
    else out.push({ start: from, end, toScale: ram });
  }
  return out;
}
