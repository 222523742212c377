// SPDX-License-Identifier: GPL-2.0-only
/** Dark and light: as the system says, until the reader says otherwise. */

type Theme = 'auto' | 'light' | 'dark';
const ORDER: Theme[] = ['auto', 'light', 'dark'];
const LABELS: Record<Theme, string> = {
  auto: 'Colours: as the system',
  light: 'Colours: light',
  dark: 'Colours: dark',
};
const listeners: (() => void)[] = [];
let current: Theme = 'auto';

export const themeLabel = (): string => LABELS[current];

/** Goes on to the next theme; returns its label. */
export function cycleTheme(): string {
  current = ORDER[(ORDER.indexOf(current) + 1) % ORDER.length] as Theme;
  if (current === 'auto') document.documentElement.removeAttribute('data-theme');
  else document.documentElement.setAttribute('data-theme', current);
  for (const listener of listeners) listener();
  return themeLabel();
}

export function onThemeChange(listener: () => void): void {
  listeners.push(listener);
  window.matchMedia('(prefers-color-scheme: dark)').addEventListener('change', listener);
}
