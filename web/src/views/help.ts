// SPDX-License-Identifier: GPL-2.0-only
import { h } from './dom';

const KEYS: [string, string][] = [
  ['[ and ]', 'previous and next checkpoint'],
  ['p', 'play the boot, pause'],
  ['/', 'type an address, a symbol or cr3=address'],
  ['1 … 5', 'address space, blackboard, mapped ranges, changes, writes'],
  ['← →', 'on a bar: previous and next entry in use; with Shift by one slot; Page Up and Down by 64'],
  ['↑ ↓ or Enter', 'on a bar: the level above and below'],
  ['← → + −', 'on physical memory: next piece of memory, closer, wider'],
];

const PROCESS_KEYS: [string, string][] = [
  ['[ and ]', 'previous and next step'],
  ['p', 'play the run, pause'],
  ['b', 'before and after, before, after'],
  ['← → ↑ ↓', 'on pages and frames: to the neighbours; Home and End to the ends'],
  ['/', 'type an address'],
  ['1 … 6', 'processes, address space, blackboard, mapped ranges, changes, writes'],
];

const BOOT_TEXT =
  'The line at the top is the boot, one stop for each checkpoint. Everything below shows the checkpoint that is chosen there. What you select in one view lights up in all: a slot of a bar, a box of the blackboard, a piece of physical memory, a step of the walk.';
const PROCESS_TEXT =
  'The line at the top is the run, one stop for each step of the script. Processes stand side by side, above the page frames that they use: before the step, and after it. Select a page or a frame: everybody who maps the same frame lights up, and the other views show its tables.';

/** What one can do here. */
export function helpDialog(processes: boolean): HTMLDialogElement {
  const dialog = h(
    'dialog',
    { class: 'help', 'aria-labelledby': 'help-title' },
    h('h2', { id: 'help-title' }, 'How to read this page'),
    h('p', {}, processes ? PROCESS_TEXT : BOOT_TEXT),
    h(
      'p',
      {},
      'Each bar is one table with its 512 entries; the bar below it shows the selected entry’s slot closer, down to one page. The address of the page in the browser always holds the whole state: copy it to send what you see.',
    ),
    h(
      'table',
      { class: 'fields' },
      h(
        'tbody',
        {},
        ...(processes ? PROCESS_KEYS : KEYS).map(([key, text]) =>
          h('tr', {}, h('th', { scope: 'row' }, key), h('td', {}, text)),
        ),
      ),
    ),
    h('form', { method: 'dialog' }, h('button', {}, 'Close')),
  );
  return dialog;
}
