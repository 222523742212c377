// SPDX-License-Identifier: GPL-2.0-only
/** Colours come from the style sheet; each kind also has a texture of its own, so that colour is never alone. */
import { isLeaf, isPresent, RW, US, XD } from '../model/entry';
import type { Level } from '../model/level';
import type { Owner, SizeClass } from '../model/owners';

export type EntryKind = 'table' | 'rw' | 'ro' | 'rx' | 'rwx' | 'unused';
export type PaintKind = EntryKind | Owner | SizeClass;
type Texture = 'plain' | 'rows' | 'columns' | 'slash' | 'backslash' | 'cross' | 'dots';

const TEXTURES: Record<PaintKind, Texture> = {
  table: 'columns',
  rw: 'plain',
  ro: 'rows',
  rx: 'slash',
  rwx: 'cross',
  unused: 'dots',
  hole: 'plain',
  firmware: 'backslash',
  acpi: 'cross',
  ram: 'plain',
  memblock: 'slash',
  initrd: 'dots',
  decompressor: 'rows',
  text: 'slash',
  rodata: 'rows',
  data: 'plain',
  vmemmap: 'dots',
  node: 'rows',
  anon: 'slash',
  cache: 'dots',
  unmapped: 'plain',
  page4k: 'dots',
  page2m: 'columns',
  page1g: 'plain',
};

export const KIND_LABELS: Record<PaintKind, string> = {
  table: 'table',
  rw: 'read/write data',
  ro: 'read-only data',
  rx: 'code',
  rwx: 'writable and executable',
  unused: 'not present, not zero',
  hole: 'no memory',
  firmware: 'firmware, reserved',
  acpi: 'ACPI',
  ram: 'free RAM',
  memblock: 'memblock reservation',
  initrd: 'initrd',
  decompressor: 'decompressor',
  text: 'kernel text',
  rodata: 'kernel read-only data',
  data: 'kernel data',
  vmemmap: 'struct pages (vmemmap)',
  node: 'node data',
  anon: 'anonymous pages',
  cache: 'page cache',
  unmapped: 'RAM, not mapped',
  page4k: '4 KiB pages',
  page2m: '2 MiB pages',
  page1g: '1 GiB pages',
};

/** What an entry permits on its own; the walk shows the path's rights. */
export function entryKind(raw: bigint, level: Level): EntryKind {
  if (!isPresent(raw)) return 'unused';
  if (!isLeaf(raw, level)) return 'table';
  const writable = (raw & RW) !== 0n;
  if ((raw & XD) !== 0n) return writable ? 'rw' : 'ro';
  return writable ? 'rwx' : 'rx';
}

export const isUser = (raw: bigint): boolean => (raw & US) !== 0n;

/** Fills in the theme in force; made anew when the theme changes. */
export class Palette {
  private readonly patterns = new Map<PaintKind, CanvasPattern | string>();
  private readonly colours = new Map<string, string>();

  colour(name: string): string {
    let value = this.colours.get(name);
    if (value === undefined) {
      value = getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
      this.colours.set(name, value);
    }
    return value;
  }

  fill(kind: PaintKind): CanvasPattern | string {
    let found = this.patterns.get(kind);
    if (found === undefined) {
      found = this.make(kind);
      this.patterns.set(kind, found);
    }
    return found;
  }

  private make(kind: PaintKind): CanvasPattern | string {
    const base = this.colour(`k-${kind}`);
    const texture = TEXTURES[kind];
    if (texture === 'plain') return base;
    const ratio = window.devicePixelRatio || 1;
    const size = 8;
    const tile = document.createElement('canvas');
    tile.width = tile.height = size * ratio;
    const context = tile.getContext('2d');
    if (!context) return base;
    context.scale(ratio, ratio);
    context.fillStyle = base;
    context.fillRect(0, 0, size, size);
    context.strokeStyle = context.fillStyle = this.colour('k-line');
    context.lineWidth = 1;
    drawTexture(context, texture, size);
    const pattern = context.createPattern(tile, 'repeat');
    pattern?.setTransform(new DOMMatrix().scale(1 / ratio));
    return pattern ?? base;
  }
}

function drawTexture(context: CanvasRenderingContext2D, texture: Texture, size: number): void {
  context.beginPath();
  const line = (x1: number, y1: number, x2: number, y2: number): void => {
    context.moveTo(x1, y1);
    context.lineTo(x2, y2);
  };
  if (texture === 'rows') [2, 6].forEach((y) => line(0, y + 0.5, size, y + 0.5));
  if (texture === 'columns') [2, 6].forEach((x) => line(x + 0.5, 0, x + 0.5, size));
  if (texture === 'slash' || texture === 'cross') {
    line(-1, size + 1, size + 1, -1);
    if (texture === 'slash') {
      line(-1, 1, 1, -1);
      line(size - 1, size + 1, size + 1, size - 1);
    }
  }
  if (texture === 'backslash' || texture === 'cross') line(-1, -1, size + 1, size + 1);
  context.stroke();
  if (texture === 'dots') {
    for (const [x, y] of [
      [2, 2],
      [6, 6],
    ] as const)
      context.fillRect(x - 0.75, y - 0.75, 1.5, 1.5);
  }
}

/** A swatch for a legend, with the same texture as in the pictures. */
export function swatch(palette: Palette, kind: PaintKind): HTMLCanvasElement {
  const canvas = document.createElement('canvas');
  const ratio = window.devicePixelRatio || 1;
  canvas.width = 20 * ratio;
  canvas.height = 14 * ratio;
  canvas.className = 'swatch';
  canvas.setAttribute('aria-hidden', 'true');
  const context = canvas.getContext('2d');
  if (context) {
    context.scale(ratio, ratio);
    context.fillStyle = palette.fill(kind);
    context.fillRect(0, 0, 20, 14);
  }
  return canvas;
}
