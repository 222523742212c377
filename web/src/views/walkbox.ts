// SPDX-License-Identifier: GPL-2.0-only
/** Type an address, a symbol or a CR3; step through its walk; see the rights so far and the fault. */
import type { Focus } from '../app/store';
import { flagText, isPresent } from '../model/entry';
import { binary, bytes, hex, hexGrouped, parseTyped, plural } from '../model/hex';
import { entryName, indexOf, linuxName, structureName, asLevel, type Level } from '../model/level';
import { rightsText } from '../model/mappings';
import { regionAt } from '../model/regions';
import { causeText, errorCodeText } from '../model/faults';
import type { AccessKind, WalkStep } from '../model/walk';
import { h, isTyping } from './dom';
import type { Context, View } from './view';

export class WalkBox implements View {
  readonly element: HTMLElement;
  private readonly input: HTMLInputElement;
  private readonly message = h('p', { class: 'walk-message', role: 'alert' });
  private readonly where = h('p', { class: 'walk-where' });
  private readonly registers = h('p', {
    class: 'registers num',
    title: 'what the processor’s registers say about paging at this checkpoint',
  });
  private readonly split = h('div', { class: 'split', role: 'group', 'aria-label': 'The address, split into indices' });
  private readonly list = h('ol', { class: 'steps' });
  private readonly outcome = h('div', { class: 'outcome', 'aria-live': 'polite' });
  private readonly rootSelect: HTMLSelectElement;
  private readonly kinds: HTMLInputElement[] = [];
  private readonly user: HTMLInputElement;
  private readonly stepText = h('span', { class: 'step-text' });
  private focus: Focus | null = null;

  constructor(private readonly context: Context) {
    const { store, boot } = context;
    this.input = h('input', {
      id: 'walk-input',
      type: 'text',
      spellcheck: 'false',
      autocomplete: 'off',
      list: 'symbols',
      class: 'num',
      placeholder: '0xffff888000000000, startup_64 or cr3=0x…',
    });
    this.rootSelect = h('select', { id: 'walk-root', onchange: () => store.update({ root: this.rootSelect.value }) });
    const kind = (value: AccessKind, text: string): HTMLElement => {
      const input = h('input', {
        type: 'radio',
        name: 'access',
        value,
        onchange: () => store.update({ access: { ...store.state.access, kind: value } }),
      });
      this.kinds.push(input);
      return h('label', { class: 'choice' }, input, h('span', {}, text));
    };
    this.user = h('input', {
      type: 'checkbox',
      onchange: () => store.update({ access: { ...store.state.access, user: this.user.checked } }),
    });
    const stepButton = (text: string, label: string, to: (now: number, last: number) => number | null): HTMLElement =>
      h('button', { class: 'small', 'aria-label': label, title: label, onclick: () => this.step(to) }, text);
    this.element = h(
      'section',
      { class: 'walk panel', 'aria-labelledby': 'walk-title' },
      h('div', { class: 'panel-head' }, h('h2', { id: 'walk-title' }, 'Walk')),
      h(
        'form',
        { class: 'walk-form', onsubmit: (event: Event) => this.submit(event) },
        h('label', { class: 'visually-hidden', for: 'walk-input' }, 'Linear address, symbol or cr3=address'),
        this.input,
        h('button', { type: 'submit' }, 'Walk'),
        h('datalist', { id: 'symbols' }, ...boot.symbols.names.map((name) => h('option', { value: name }))),
      ),
      this.message,
      h(
        'div',
        { class: 'walk-options' },
        h(
          'div',
          { class: 'choices', role: 'radiogroup', 'aria-label': 'Access' },
          kind('read', 'read'),
          kind('write', 'write'),
          kind('fetch', 'execute'),
        ),
        h('label', { class: 'check' }, this.user, 'user mode'),
        h('label', { class: 'root-choice', for: 'walk-root' }, 'from ', this.rootSelect),
      ),
      this.registers,
      this.where,
      this.split,
      h(
        'div',
        { class: 'stepper', role: 'group', 'aria-label': 'Step through the walk' },
        stepButton('⇤', 'Back to CR3', () => 0),
        stepButton('‹', 'Step back', (now) => Math.max(0, now - 1)),
        stepButton('›', 'Step forward', (now, last) => (now + 1 >= last ? null : now + 1)),
        stepButton('⇥', 'Whole walk', () => null),
        this.stepText,
      ),
      h(
        'div',
        { class: 'steps-head', 'aria-hidden': 'true' },
        h('span', {}, 'entry'),
        h('span', {}, 'value'),
        h('span', {}, 'bits · rights so far'),
      ),
      this.list,
      this.outcome,
    );
    document.addEventListener('keydown', (event) => {
      if (event.key !== '/' || isTyping(event.target)) return;
      event.preventDefault();
      this.input.focus();
      this.input.select();
    });
  }

  render(focus: Focus): void {
    this.focus = focus;
    const { state } = focus;
    if (document.activeElement !== this.input) this.input.value = hex(state.va);
    for (const input of this.kinds) input.checked = input.value === state.access.kind;
    this.user.checked = state.access.user;
    this.renderRoots(focus);
    this.registers.textContent = registerText(focus);
    const symbol = this.context.boot.symbols.describe(state.va);
    const region = regionAt(focus.checkpoint.regions, state.va);
    this.where.replaceChildren(
      h('span', { class: 'num' }, hexGrouped(state.va)),
      region || symbol ? ' · ' : '',
      region?.name ?? '',
      symbol ? (region ? ' · ' : '') : '',
      symbol ? h('code', {}, symbol) : '',
    );
    this.renderSplit(focus);
    this.renderSteps(focus);
    this.renderOutcome(focus);
  }

  private renderRoots(focus: Focus): void {
    const { checkpoint, root } = focus;
    const cr3 = BigInt(checkpoint.data.cpu.cr3) & ~0xfffn;
    const options = checkpoint.roots.map(({ name, pa }) => {
      const known = checkpoint.tableName(pa);
      const text =
        name === ''
          ? `${pa === cr3 ? 'CR3' : 'own root'} = ${hex(pa)}${known ? ` ${known}` : ''}`
          : `${name} = ${hex(pa)}`;
      return h('option', { value: name }, text);
    });
    if (root.name.startsWith('0x')) options.push(h('option', { value: root.name }, `typed ${root.name}`));
    this.rootSelect.replaceChildren(...options);
    this.rootSelect.value = root.name;
  }

  private submit(event: Event): void {
    event.preventDefault();
    const { store, boot } = this.context;
    const text = this.input.value.trim();
    const cr3 = /^cr3\s*[=:]?\s*(.+)$/i.exec(text);
    const value = cr3 ? parseTyped(cr3[1] as string) : (boot.symbols.parse(text) ?? parseTyped(text));
    if (value === null) {
      this.message.textContent = `“${text}” is neither an address, a symbol nor cr3=address.`;
      this.input.setAttribute('aria-invalid', 'true');
      return;
    }
    this.message.textContent = '';
    this.input.removeAttribute('aria-invalid');
    if (cr3) store.update({ root: hex(value & ~0xfffn), step: null, entry: null });
    else store.update({ va: value, level: null });
    this.input.select();
  }

  private step(to: (now: number, last: number) => number | null): void {
    if (!this.focus) return;
    const last = this.focus.walk.steps.length + 1;
    const next = to(this.focus.state.step ?? last, last);
    this.context.store.update({ step: next, level: null, entry: null });
  }

  /** The 64 bits as sign extension, one index a level, and the offset. */
  private renderSplit(focus: Focus): void {
    const { va } = focus.state;
    const leaf = focus.walk.steps.find((step) => step.entry.leaf);
    const lowest: number = leaf?.level ?? 1;
    const cells: HTMLElement[] = [];
    const top = 12 + 9 * focus.root.levels;
    cells.push(
      h(
        'div',
        { class: 'split-cell sign' },
        h('span', { class: 'split-name' }, 'sign'),
        h('b', { class: 'num' }, hex(va >> BigInt(top))),
        h('span', { class: 'split-bits num' }, `63:${top}`),
      ),
    );
    for (let number: number = focus.root.levels; number >= lowest; number--) {
      const level = asLevel(number);
      const low = 12 + 9 * (number - 1);
      const index = indexOf(va, level);
      cells.push(
        h(
          'button',
          {
            class: `split-cell level-${number}${focus.entry?.level === level && focus.state.entry === null ? ' active' : ''}`,
            title: binary(BigInt(index), 9),
            onclick: () => this.context.store.update({ level, entry: null, pa: null }),
          },
          h('span', { class: 'split-name' }, structureName(level)),
          h('b', { class: 'num' }, String(index)),
          h('span', { class: 'split-bits num' }, `${low + 8}:${low}`),
        ),
      );
    }
    const bits = 12 + 9 * (lowest - 1);
    cells.push(
      h(
        'div',
        { class: 'split-cell offset' },
        h('span', { class: 'split-name' }, 'offset'),
        h('b', { class: 'num' }, hex(va & ((1n << BigInt(bits)) - 1n))),
        h('span', { class: 'split-bits num' }, `${bits - 1}:0`),
      ),
    );
    this.split.replaceChildren(...cells);
  }

  private renderSteps(focus: Focus): void {
    const { steps } = focus.walk;
    const shown = focus.state.step;
    const rows = [this.rootRow(focus)];
    steps.forEach((step, i) => rows.push(this.stepRow(focus, step, shown !== null && i + 1 > shown)));
    this.list.replaceChildren(...rows);
    this.stepText.textContent =
      shown === null
        ? `whole walk, ${plural(steps.length, 'entry', 'entries')} read`
        : `step ${shown} of ${steps.length + 1}`;
  }

  private rootRow(focus: Focus): HTMLElement {
    const { checkpoint, root, state } = focus;
    const name = checkpoint.tableName(root.pa);
    return h(
      'li',
      { class: `step${state.step === 0 ? ' active' : ''}` },
      h(
        'div',
        { class: 'step-row' },
        h('span', { class: 'step-level' }, root.name === '' ? 'CR3' : root.name.startsWith('0x') ? 'typed' : 'root'),
        h('span', { class: 'num' }, hex(root.pa)),
        h('span', { class: 'step-flags' }, `→ ${structureName(root.levels)}${name ? ` ${name}` : ''}`),
      ),
    );
  }

  private stepRow(focus: Focus, step: WalkStep, hidden: boolean): HTMLElement {
    const { checkpoint, root } = focus;
    const active = focus.state.entry === null && focus.entry?.level === step.level && !hidden;
    if (hidden)
      return h(
        'li',
        { class: 'step later' },
        h(
          'div',
          { class: 'step-row' },
          h('span', { class: 'step-level' }, `${structureName(step.level)}[${step.index}]`),
          h('span', {}, 'not read yet'),
        ),
      );
    const table = checkpoint.tableName(step.tablePa);
    const flags = isPresent(step.entry.raw) ? flagText(step.entry.raw, step.level) : 'not present';
    return h(
      'li',
      { class: `step${active ? ' active' : ''}` },
      h(
        'button',
        {
          class: 'step-row',
          title: `${entryName(step.level)} ${step.index}`,
          'aria-pressed': String(active),
          onclick: () => this.context.store.update({ level: step.level as Level, entry: null, pa: null }),
        },
        h('span', { class: `step-level level-${step.level}` }, `${structureName(step.level)}[${step.index}]`),
        h('span', { class: 'num' }, hex(step.entry.raw)),
        h('span', { class: 'step-flags' }, flags),
        h(
          'span',
          { class: 'step-rights', title: 'rights of the path so far' },
          isPresent(step.entry.raw) ? rightsText(step.rights) : '—',
        ),
        h(
          'span',
          { class: 'step-note' },
          `${linuxName(step.level, root.levels)} at ${hex(step.entryPa)}${table ? ` in ${table}` : ''}`,
        ),
      ),
    );
  }

  private renderOutcome(focus: Focus): void {
    const { outcome } = focus.walk;
    this.outcome.className = `outcome ${focus.state.step === null ? outcome.kind : 'pending'}`;
    if (focus.state.step !== null) {
      this.outcome.textContent = 'The walk goes on …';
      return;
    }
    if (outcome.kind === 'translation') {
      const page = `${bytes(outcome.pageSize)} page`;
      this.outcome.replaceChildren(
        h('b', {}, '✓ ', h('span', { class: 'num' }, hex(outcome.pa))),
        h('span', {}, ` ${page}, ${rightsText(outcome.rights)}, PAT entry ${outcome.patIndex}`),
      );
    } else if (outcome.kind === 'fault') {
      this.outcome.replaceChildren(
        h('b', {}, `✗ #PF, error code ${hex(BigInt(outcome.errorCode))}`),
        h('span', {}, ` ${errorCodeText(outcome.errorCode)}`),
        h('p', {}, `${causeText(outcome, focus)}`),
      );
    } else if (outcome.kind === 'non-canonical') {
      this.outcome.replaceChildren(
        h('b', {}, '✗ #GP(0)'),
        h('p', {}, `not canonical with ${focus.root.levels} levels: nothing is read`),
      );
    } else {
      this.outcome.replaceChildren(
        h('b', {}, '? unknown'),
        h('p', {}, `the ${structureName(outcome.level)} at ${hex(outcome.tablePa)} is not in this checkpoint’s data`),
      );
    }
  }
}

/** "WP 1 · PGE 1 · …": the register bits that decide what a walk may do. */
function registerText({ checkpoint, root }: Focus): string {
  const { state, data } = checkpoint;
  const pge = (BigInt(data.cpu.cr4) >> 7n) & 1n;
  const bits: [string, boolean | bigint][] = [
    ['CR0.WP', state.wp],
    ['CR4.PGE', pge === 1n],
    ['SMEP', state.smep],
    ['SMAP', state.smap],
    ['LA57', root.levels === 5],
    ['EFER.NXE', state.nxe],
  ];
  return bits.map(([name, on]) => `${name} ${on ? 1 : 0}`).join(' · ');
}
