// SPDX-License-Identifier: GPL-2.0-only
import type { Boot } from '../model/boot';
import type { Focus, Store } from '../app/store';
import type { Palette } from './palette';
import type { Tooltip } from './tooltip';

/** What every view is given. */
export interface Context {
  boot: Boot;
  store: Store;
  /** The theme's colours; a new object after the theme changed. */
  palette(): Palette;
  tooltip: Tooltip;
}

export interface View {
  readonly element: HTMLElement;
  render(focus: Focus): void;
}
