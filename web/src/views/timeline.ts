// SPDX-License-Identifier: GPL-2.0-only
/** The checkpoints in order: scrub, play, compare two; and what the stage did. */
import type { Focus } from '../app/store';
import type { Checkpoint } from '../model/boot';
import { plural } from '../model/hex';
import { h, isTyping, set } from './dom';
import type { Context, View } from './view';

const PLAY_MS = 1600;
/** From here on only the name of the chosen stop is shown. */
const MANY_STOPS = 18;

export class Timeline implements View {
  readonly element: HTMLElement;
  private readonly stops: HTMLButtonElement[];
  private readonly title = h('h2', { id: 'stage-title' });
  private readonly summary = h('p', { class: 'stage-summary' });
  private readonly functions = h('p', { class: 'stage-functions' });
  private readonly delta = h('p', { class: 'stage-delta', 'aria-live': 'polite' });
  private readonly play: HTMLButtonElement;
  private readonly compare: HTMLSelectElement;
  private timer: number | null = null;
  private index = 0;
  private readonly playLabel: string;

  constructor(private readonly context: Context) {
    const { boot } = context;
    this.playLabel = boot.hasProcesses ? 'Play the run' : 'Play the boot';
    this.stops = boot.checkpoints.map((checkpoint) => this.stop(checkpoint));
    this.play = h(
      'button',
      { class: 'round', 'aria-label': this.playLabel, title: 'Play (p)', onclick: () => this.toggle() },
      '▶',
    );
    this.compare = h(
      'select',
      { onchange: () => context.store.update({ vs: this.compare.value }) },
      h('option', { value: '' }, 'nothing'),
      ...boot.checkpoints.map(({ name, title }) => h('option', { value: name }, title)),
    );
    const step = (by: 1 | -1, label: string, text: string): HTMLElement =>
      h('button', { class: 'round', 'aria-label': label, title: label, onclick: () => this.go(this.index + by) }, text);
    this.element = h(
      'section',
      { class: 'timeline', 'aria-label': 'Timeline of checkpoints' },
      h(
        'div',
        { class: 'transport' },
        step(-1, 'Previous checkpoint', '‹'),
        this.play,
        step(1, 'Next checkpoint', '›'),
      ),
      h(
        'div',
        {
          class: this.stops.length > MANY_STOPS ? 'track dense' : 'track',
          role: 'radiogroup',
          'aria-label': 'Checkpoint',
          onkeydown: (event: KeyboardEvent) => this.key(event),
          onpointermove: (event: PointerEvent) => this.scrub(event),
        },
        ...this.stops,
      ),
      h(
        'div',
        { class: 'stage' },
        h('div', { class: 'stage-text' }, this.title, this.summary, this.functions),
        h('div', { class: 'stage-side' }, h('label', { class: 'compare' }, 'compare with ', this.compare), this.delta),
      ),
    );
    document.addEventListener('keydown', (event) => this.shortcut(event));
  }

  private stop(checkpoint: Checkpoint): HTMLButtonElement {
    return h(
      'button',
      {
        class: 'stop',
        role: 'radio',
        'aria-checked': 'false',
        tabindex: -1,
        title: checkpoint.title,
        'aria-label': `${checkpoint.index + 1}: ${checkpoint.title}, ${checkpoint.stage.short}`,
        onclick: () => this.go(checkpoint.index),
      },
      h('span', { class: 'dot', 'aria-hidden': 'true' }),
      h('span', { class: 'stop-name' }, checkpoint.stage.short),
    );
  }

  render(focus: Focus): void {
    const { checkpoint, compared } = focus;
    this.index = checkpoint.index;
    this.stops.forEach((stop, i) => {
      set(stop, 'aria-checked', String(i === checkpoint.index));
      set(stop, 'tabindex', i === checkpoint.index ? '0' : '-1');
      stop.classList.toggle('past', i < checkpoint.index);
      stop.classList.toggle('compared', compared?.index === i);
    });
    if (this.compare.value !== (compared?.name ?? '')) this.compare.value = compared?.name ?? '';
    this.title.textContent = checkpoint.title;
    this.summary.textContent = checkpoint.stage.summary;
    this.renderFunctions(focus);
    this.renderDelta(focus);
  }

  private renderFunctions(focus: Focus): void {
    const { boot } = this.context;
    const from =
      focus.compared && focus.compared.index < focus.checkpoint.index
        ? focus.compared.index
        : focus.checkpoint.index - 1;
    const measured = boot.provenance?.functionsBetween(from, focus.checkpoint.index) ?? [];
    const names =
      measured.length > 0
        ? measured.map(({ name, writes }) => ({ name, note: ` ${plural(writes, 'write')}` }))
        : focus.checkpoint.stage.functions.map((name) => ({ name, note: '' }));
    this.functions.hidden = names.length === 0;
    this.functions.replaceChildren(
      'by ',
      ...names.flatMap(({ name, note }, i) => [i > 0 ? ', ' : '', h('code', {}, name), note]),
    );
    const faults = focus.checkpoint.data.early_faults ?? [];
    if (faults.length > 0)
      this.functions.append(
        ` · early page faults at `,
        ...faults.flatMap((va, i) => [i > 0 ? ', ' : '', h('code', {}, va)]),
      );
  }

  private renderDelta(focus: Focus): void {
    const { from, difference } = this.context.store.changes(focus);
    if (!difference || !from) {
      this.delta.textContent = 'the first checkpoint';
      return;
    }
    const part = (kind: string, sign: string, count: number, word: string): HTMLElement =>
      h('span', { class: `delta ${kind}` }, h('b', {}, `${sign}${count.toLocaleString('en')}`), ` ${word}`);
    this.delta.replaceChildren(
      part('added', '+', difference.added, 'added'),
      part('removed', '−', difference.removed, 'removed'),
      part('changed', '~', difference.changed, 'changed'),
      h('span', { class: 'delta-from' }, ` entries since ${from.title}`),
    );
  }

  /** With the button held down, the stop under the pointer is chosen. */
  private scrub(event: PointerEvent): void {
    if ((event.buttons & 1) === 0) return;
    const stop = document.elementFromPoint(event.clientX, event.clientY)?.closest<HTMLButtonElement>('.stop');
    const index = stop ? this.stops.indexOf(stop) : -1;
    if (index >= 0 && index !== this.index) this.go(index);
  }

  private go(index: number): void {
    const next = this.context.boot.checkpoints[Math.min(this.stops.length - 1, Math.max(0, index))];
    if (next) this.context.store.update({ cp: next.name });
  }

  private toggle(): void {
    if (this.timer !== null) {
      this.stopPlaying();
      return;
    }
    if (this.index === this.stops.length - 1) this.go(0);
    this.play.textContent = '❚❚';
    set(this.play, 'aria-label', 'Pause');
    this.timer = window.setInterval(() => {
      if (this.index >= this.stops.length - 1) this.stopPlaying();
      else this.go(this.index + 1);
    }, PLAY_MS);
  }

  private stopPlaying(): void {
    if (this.timer !== null) clearInterval(this.timer);
    this.timer = null;
    this.play.textContent = '▶';
    set(this.play, 'aria-label', this.playLabel);
  }

  private key(event: KeyboardEvent): void {
    const moves: Record<string, number> = {
      ArrowRight: this.index + 1,
      ArrowDown: this.index + 1,
      ArrowLeft: this.index - 1,
      ArrowUp: this.index - 1,
      Home: 0,
      End: this.stops.length - 1,
    };
    const next = moves[event.key];
    if (next === undefined) return;
    event.preventDefault();
    this.go(next);
    this.stops[Math.min(this.stops.length - 1, Math.max(0, next))]?.focus();
  }

  private shortcut(event: KeyboardEvent): void {
    if (isTyping(event.target) || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === '[') this.go(this.index - 1);
    else if (event.key === ']') this.go(this.index + 1);
    else if (event.key === 'p') this.toggle();
  }
}
