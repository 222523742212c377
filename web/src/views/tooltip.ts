// SPDX-License-Identifier: GPL-2.0-only
import { h } from './dom';

/** One floating box for pointers; everything it says can also be read without it. */
export class Tooltip {
  readonly element = h('div', { class: 'tooltip', 'aria-hidden': 'true', hidden: true });

  show(x: number, y: number, lines: string[]): void {
    this.element.replaceChildren(...lines.map((line, i) => h('div', { class: i === 0 ? 'tooltip-head' : '' }, line)));
    this.element.hidden = false;
    const { offsetWidth: width, offsetHeight: height } = this.element;
    this.element.style.left = `${Math.max(4, Math.min(x + 12, window.innerWidth - width - 8))}px`;
    this.element.style.top = `${y + 18 + height > window.innerHeight ? y - height - 8 : y + 18}px`;
  }

  hide(): void {
    this.element.hidden = true;
  }
}
