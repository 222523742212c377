// SPDX-License-Identifier: GPL-2.0-only
/** A run of processes: before and after each step, the script, and what the kernel did in the step. */
import type { Moments } from '../app/state';
import type { StoryData } from '../data/contract';
import type { Focus } from '../app/store';
import type { Checkpoint } from '../model/boot';
import { flagText, isPresent } from '../model/entry';
import { hex, plural } from '../model/hex';
import { entryName } from '../model/level';
import { outcomeText, toldSteps, warningsOf } from '../model/outcome';
import { pageChanges, type Page, type PageChange } from '../model/processes';
import { h, set } from './dom';
import { Scene, type Pick } from './scene';
import type { Context, View } from './view';

const MAX_WAYS = 8;
const MAX_STEPS = 40;
const MAX_CHANGES = 12;
const SIGNS = { added: '+', removed: '−', changed: '~' } as const;

export class ProcessesView implements View {
  readonly element: HTMLElement;
  private readonly before: Scene;
  private readonly after: Scene;
  private readonly beforeTitle = h('h3', { class: 'moment' });
  private readonly afterTitle = h('h3', { class: 'moment' });
  private readonly beforeBox: HTMLElement;
  private readonly afterBox: HTMLElement;
  private readonly script: HTMLOListElement;
  private readonly outcome = h('div', { class: 'step-outcome', 'aria-live': 'polite' });
  private readonly story = h('div', {
    class: 'story-text',
    tabindex: 0,
    role: 'group',
    'aria-label': 'Functions passed',
  });
  private readonly changes = h('div', { class: 'story-changes' });
  private readonly moments: HTMLInputElement[] = [];
  private focus: Focus | null = null;
  private told = '';

  constructor(private readonly context: Context) {
    const { store } = context;
    const page = (process: string, va: bigint): void => store.selectPage(process, va);
    const frame = (pfn: number): void => this.chooseFrame(pfn);
    this.before = new Scene('before', page, frame);
    this.after = new Scene('after', page, frame);
    const choice = (value: Moments, text: string): HTMLElement => {
      const input = h('input', {
        type: 'radio',
        name: 'moments',
        value,
        onchange: () => store.update({ show: value }),
      });
      this.moments.push(input);
      return h('label', { class: 'choice' }, input, h('span', {}, text));
    };
    this.beforeBox = h('div', { class: 'moment-box' }, this.beforeTitle, this.before.element);
    this.afterBox = h('div', { class: 'moment-box' }, this.afterTitle, this.after.element);
    this.script = h('ol', { class: 'script', 'aria-label': 'The script, step by step' });
    this.script.append(...context.boot.checkpoints.map((checkpoint) => this.line(checkpoint)));
    this.element = h(
      'section',
      { class: 'processes', 'aria-label': 'Processes side by side' },
      h(
        'div',
        { class: 'bars-tools' },
        h(
          'div',
          { class: 'choices', role: 'radiogroup', 'aria-label': 'Moments shown' },
          choice('both', 'before and after'),
          choice('before', 'before'),
          choice('after', 'after'),
        ),
      ),
      this.beforeBox,
      this.afterBox,
      legend(),
      h(
        'div',
        { class: 'story' },
        h('section', { 'aria-labelledby': 'script-title' }, h('h3', { id: 'script-title' }, 'Script'), this.script),
        h(
          'section',
          { 'aria-labelledby': 'story-title' },
          h('h3', { id: 'story-title' }, 'What the kernel did'),
          this.outcome,
          this.story,
          this.changes,
        ),
      ),
    );
    document.addEventListener('keydown', (event) => this.shortcut(event));
  }

  private line(checkpoint: Checkpoint): HTMLElement {
    return h(
      'li',
      {},
      h(
        'button',
        { class: 'script-line num', onclick: () => this.context.store.update({ cp: checkpoint.name }) },
        checkpoint.title,
      ),
    );
  }

  render(focus: Focus): void {
    this.focus = focus;
    const { store } = this.context;
    const { checkpoint, state } = focus;
    const from = this.from(focus);
    const now = store.processes(checkpoint);
    const old = from && store.processes(from);
    for (const input of this.moments) input.checked = input.value === state.show;
    this.beforeBox.hidden = !old || state.show === 'after';
    this.afterBox.hidden = old !== null && state.show === 'before';
    this.beforeTitle.replaceChildren('Before', h('span', { class: 'quiet' }, from ? ` after “${from.title}”` : ''));
    this.afterTitle.replaceChildren(from ? 'After' : 'Now', h('span', { class: 'quiet' }, ` “${checkpoint.title}”`));
    const pick: Pick = { ...store.picked(focus) };
    if (old && !this.beforeBox.hidden) this.before.render({ model: old, other: now, earlier: true, pick });
    if (!this.afterBox.hidden) this.after.render({ model: now, other: old, earlier: false, pick });
    [...this.script.children].forEach((item, i) => {
      const button = item.firstElementChild as HTMLElement;
      if (i === checkpoint.index) {
        set(button, 'aria-current', 'step');
        this.scrollTo(item as HTMLElement);
      } else button.removeAttribute('aria-current');
    });
    const key = `${from?.index}.${checkpoint.index}`;
    if (key === this.told) return;
    this.told = key;
    this.tell(checkpoint);
    this.renderChanges(old && pageChanges(old, now));
  }

  /** The moment compared with: the one chosen, else the one before. */
  private from(focus: Focus): Checkpoint | null {
    return focus.compared ?? this.context.boot.checkpoints[focus.checkpoint.index - 1] ?? null;
  }

  /** Within the list only: the page itself stays where it is. */
  private scrollTo(item: HTMLElement): void {
    const top = item.offsetTop - this.script.offsetTop;
    const { scrollTop, clientHeight } = this.script;
    if (top < scrollTop || top + item.offsetHeight > scrollTop + clientHeight)
      this.script.scrollTop = top - clientHeight / 2;
  }

  private chooseFrame(pfn: number): void {
    if (this.focus) this.context.store.selectFrame(this.focus, pfn, this.from(this.focus));
  }

  private tell(checkpoint: Checkpoint): void {
    const { operation, story } = checkpoint.data;
    const ways = (story ?? []).slice(0, MAX_WAYS);
    const counters = Object.entries(operation?.counters ?? {});
    this.outcome.replaceChildren(
      h('p', {}, outcomeText(checkpoint)),
      ...warningsOf(checkpoint).map((text) => h('p', { class: 'bad' }, `⚠ ${text}`)),
      ...(counters.length > 0
        ? [
            h(
              'p',
              { class: 'quiet num' },
              counters.map(([name, by]) => `${name} +${by.toLocaleString('en')}`).join('  '),
            ),
          ]
        : []),
    );
    this.story.replaceChildren(
      ...ways.map((way) => wayOf(way)),
      ...((story ?? []).length > MAX_WAYS
        ? [h('p', { class: 'quiet' }, `… and ${(story ?? []).length - MAX_WAYS} other ways`)]
        : []),
    );
    this.story.hidden = ways.length === 0;
  }

  private renderChanges(all: PageChange[] | null): void {
    if (!all) {
      this.changes.replaceChildren();
      return;
    }
    this.changes.replaceChildren(
      h(
        'h3',
        {},
        all.length === 0 ? 'No entry of a page changed' : `${plural(all.length, 'entry', 'entries')} changed`,
      ),
      ...(all.length === 0
        ? []
        : [
            h(
              'table',
              { class: 'fields page-changes' },
              h(
                'thead',
                {},
                h(
                  'tr',
                  {},
                  ...['', 'page', 'before', 'after'].map((text) =>
                    h('th', { scope: 'col' }, text || h('span', { class: 'visually-hidden' }, 'change')),
                  ),
                ),
              ),
              h('tbody', {}, ...all.slice(0, MAX_CHANGES).map((change) => this.changeRow(change))),
            ),
          ]),
      ...(all.length > MAX_CHANGES
        ? [
            h(
              'p',
              { class: 'quiet' },
              `… all ${all.length.toLocaleString('en')} are among the changes, in their own view.`,
            ),
          ]
        : []),
    );
  }

  private changeRow({ process, va, kind, before, after }: PageChange): HTMLElement {
    return h(
      'tr',
      {},
      h(
        'td',
        {},
        h('span', { class: `sign ${kind}`, title: kind }, SIGNS[kind], h('span', { class: 'visually-hidden' }, kind)),
      ),
      h(
        'th',
        { scope: 'row' },
        h(
          'button',
          { class: 'link num', onclick: () => this.context.store.selectPage(process, va) },
          `${process} ${hex(va)}`,
        ),
      ),
      h('td', {}, entryText(before)),
      h('td', {}, entryText(after)),
    );
  }

  private shortcut(event: KeyboardEvent): void {
    if (event.key !== 'b' || event.ctrlKey || event.metaKey || event.altKey || !this.focus) return;
    if (event.target instanceof HTMLElement && event.target.matches('input:not([type=radio]), select, textarea'))
      return;
    const order: Moments[] = ['both', 'before', 'after'];
    const now = order.indexOf(this.focus.state.show);
    this.context.store.update({ show: order[(now + 1) % order.length] as Moments });
  }
}

function wayOf({ steps, times }: StoryData): HTMLElement {
  const lines = toldSteps(steps, MAX_STEPS);
  const told = lines.reduce((sum, { more }) => sum + 1 + more, 0);
  return h(
    'div',
    { class: 'way' },
    h(
      'ol',
      {},
      ...lines.map(({ function: name, what, more }) =>
        h(
          'li',
          {},
          h('code', {}, name),
          what ? ` ${what}` : '',
          more > 0 && h('span', { class: 'quiet' }, ` … and ${more} more of it`),
        ),
      ),
    ),
    told < steps.length && h('p', { class: 'quiet' }, `… ${plural(steps.length - told, 'more step')}`),
    (times ?? 1) > 1 && h('p', { class: 'quiet' }, `… and ${plural((times ?? 1) - 1, 'time')} more the same way`),
  );
}

/** "frame 0x3fff4 · P RW US A D" and the value itself. */
function entryText(page: Page | undefined): HTMLElement {
  if (!page) return h('span', { class: 'quiet' }, 'none');
  const where =
    page.state === 'swap'
      ? `swap slot ${page.slot}`
      : `${page.state === 'none' ? 'PROT_NONE, ' : ''}frame 0x${page.pfn?.toString(16)}`;
  return h(
    'span',
    {},
    `${where} `,
    h('span', { class: 'quiet' }, isPresent(page.raw) ? flagText(page.raw, page.level) : ''),
    h('br'),
    h('span', { class: 'num quiet', title: entryName(page.level) }, hex(page.raw)),
  );
}

const LEGEND: [string, string, string][] = [
  ['c-rw', 'w', 'writable'],
  ['c-ro', 'r', 'read-only'],
  ['c-rx', 'x', 'executable'],
  ['c-zero', '0', 'zero page'],
  ['c-swap', 'S', 'swapped out'],
  ['c-none', '–', 'PROT_NONE'],
  ['c-empty', '·', 'nothing yet'],
  ['c-ro shared', 'r', 'double border: the frame is mapped twice or more'],
  ['f-anon', 'a', 'anonymous frame'],
  ['f-file', 'f', 'frame of a file'],
];

function legend(): HTMLElement {
  return h(
    'div',
    { class: 'legend' },
    ...LEGEND.map(([kind, glyph, text]) =>
      h(
        'span',
        { class: 'legend-item' },
        h('span', { class: `cell sample ${kind}`, 'aria-hidden': 'true' }, glyph),
        text,
      ),
    ),
    h('span', { class: 'legend-item' }, h('b', { class: 'sign added' }, '+'), ' new'),
    h('span', { class: 'legend-item' }, h('b', { class: 'sign removed' }, '−'), ' gone'),
    h('span', { class: 'legend-item' }, h('b', { class: 'sign changed' }, '~'), ' changed'),
  );
}
