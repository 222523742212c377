// SPDX-License-Identifier: GPL-2.0-only
import { h } from './dom';
import { KIND_LABELS, swatch, type PaintKind, type Palette } from './palette';

export const legend = (palette: Palette, kinds: PaintKind[]): HTMLElement[] =>
  kinds.map((kind) => h('span', { class: 'legend-item' }, swatch(palette, kind), KIND_LABELS[kind]));
