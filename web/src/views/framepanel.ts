// SPDX-License-Identifier: GPL-2.0-only
/** The page frame that is meant: how often it is referenced and mapped, by whom, and what the step did to it. */
import type { Focus } from '../app/store';
import { hex, plural } from '../model/hex';
import type { Frame, Mapper, ProcessModel } from '../model/processes';
import { h } from './dom';
import { pageText } from './scene';
import type { Context, View } from './view';

const MAX_MAPPERS = 24;

export class FramePanel implements View {
  readonly element: HTMLElement;
  private readonly title = h('h2', { id: 'frame-title' }, 'Page frame');
  private readonly body = h('div', { class: 'frame-body', 'aria-live': 'polite' });

  constructor(private readonly context: Context) {
    this.element = h(
      'section',
      { class: 'frame-panel panel', 'aria-labelledby': 'frame-title' },
      h('div', { class: 'panel-head' }, this.title),
      this.body,
    );
  }

  render(focus: Focus): void {
    const { store, boot } = this.context;
    const from = focus.compared ?? boot.checkpoints[focus.checkpoint.index - 1] ?? null;
    const now = store.processes(focus.checkpoint);
    const old = from && store.processes(from);
    const { process, va, pfn } = store.picked(focus);
    const page = now.page(process, va);
    const wasPage = old?.page(process, va);
    const number = pfn ?? page?.pfn ?? null;
    if (number === null) {
      this.title.textContent = 'Page frame';
      const swapped = page?.state === 'swap' ? `${process} ${hex(va)} is ${pageText(page, now)}.` : '';
      const was =
        wasPage && wasPage.pfn !== null ? ` Before the step it was ${old ? pageText(wasPage, old) : ''}.` : '';
      this.body.replaceChildren(
        h('p', { class: 'quiet' }, (swapped || `Nothing is mapped at ${process} ${hex(va)}.`) + was),
      );
      return;
    }
    const frame = now.frame(number);
    const before = old?.frame(frame?.pfn ?? number);
    this.title.textContent = `Page frame 0x${(frame?.pfn ?? before?.pfn ?? number).toString(16)}`;
    this.body.replaceChildren(
      this.facts(frame, before, old !== null),
      this.mappers('mapped by', now.mappers(number), now),
      ...this.split(wasPage?.pfn ?? null, number, old, process, va, pfn !== null),
    );
  }

  private facts(frame: Frame | undefined, before: Frame | undefined, compared: boolean): HTMLElement {
    const shown = frame ?? before;
    if (!shown) return h('p', { class: 'quiet' }, 'No process and no file uses it.');
    const row = (name: string, ...value: (string | Node)[]): HTMLElement[] => [
      h('dt', {}, name),
      h('dd', {}, ...value),
    ];
    const number = (name: 'refcount' | 'mapcount'): (string | Node)[] => {
      if (shown.kind === 'zero') return ['not counted'];
      const value = frame?.[name] ?? 0;
      const old = before?.[name] ?? 0;
      const note = !compared || old === value ? '' : frame && !before ? ' (new)' : ` (was ${old})`;
      return [h('b', {}, String(value)), h('span', { class: 'quiet' }, note)];
    };
    return h(
      'dl',
      { class: 'facts' },
      ...row(
        'is',
        frame ? `${frame.label}${frame.frames > 1 ? `, ${frame.frames} frames in one` : ''}` : 'free since this step',
      ),
      ...row('address', h('span', { class: 'num' }, hex(BigInt(shown.pfn) << 12n))),
      ...row('refcount', ...number('refcount')),
      ...row('mapcount', ...number('mapcount')),
      ...(frame && frame.flags.length > 0 ? row('flags', frame.flags.join(', ')) : []),
    );
  }

  private mappers(heading: string, mappers: Mapper[], model: ProcessModel): HTMLElement {
    const groups = neighbours(mappers);
    return h(
      'div',
      { class: 'mappers' },
      h('h3', {}, mappers.length === 0 ? `${heading} nobody` : heading),
      h(
        'ul',
        {},
        ...groups
          .slice(0, MAX_MAPPERS)
          .map(({ first: { process, page, va }, pages }) =>
            h(
              'li',
              {},
              h(
                'button',
                { class: 'link num', onclick: () => this.context.store.selectPage(process.name, va) },
                `${process.name} ${hex(va)}`,
              ),
              ` ${pages > 1 ? `${plural(pages, 'page')}, ` : ''}${pageText(page, model).split(', ').slice(2).join(', ')}`,
            ),
          ),
        groups.length > MAX_MAPPERS && h('li', { class: 'quiet' }, `… and ${groups.length - MAX_MAPPERS} more`),
      ),
    );
  }

  /** The page had another frame before the step: say which, and who maps that one now and then. */
  private split(
    was: number | null,
    now: number,
    old: ProcessModel | null,
    process: string,
    va: bigint,
    frameChosen: boolean,
  ): HTMLElement[] {
    if (frameChosen || !old || was === null || was === now) return [];
    const others = old.mappers(was).map((mapper) => `${mapper.process.name} ${hex(mapper.va)}`);
    return [
      h(
        'p',
        { class: 'split-note' },
        `Before the step ${process} ${hex(va)} was in frame `,
        h(
          'button',
          { class: 'link num', onclick: () => this.context.store.update({ pa: BigInt(was) << 12n }) },
          `0x${was.toString(16)}`,
        ),
        `, mapped by ${others.join(' and ')}.`,
      ),
    ];
  }
}

/** Pages of one process that follow each other, as the parts of a compound page do, are one line. */
function neighbours(mappers: Mapper[]): { first: Mapper; pages: number }[] {
  const out: { first: Mapper; pages: number; next: bigint }[] = [];
  for (const mapper of mappers) {
    const last = out[out.length - 1];
    const { page } = mapper;
    if (
      last &&
      last.first.process === mapper.process &&
      last.next === page.va &&
      last.first.page.writable === page.writable
    ) {
      last.pages++;
      last.next += page.size;
    } else out.push({ first: mapper, pages: 1, next: page.va + page.size });
  }
  return out;
}
