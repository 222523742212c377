// SPDX-License-Identifier: GPL-2.0-only
/** Puts the views together and keeps them in step with the state and the URL. */
import type { Boot } from '../model/boot';
import { bytes } from '../model/hex';
import { parseHex } from '../model/hex';
import { h, isTyping, set } from '../views/dom';
import { BoardView } from '../views/board';
import { ChangesView } from '../views/changes';
import { FramePanel } from '../views/framepanel';
import { helpDialog } from '../views/help';
import { Inspector } from '../views/inspector';
import { MappingListView } from '../views/mappinglist';
import { Palette } from '../views/palette';
import { PhysicalView } from '../views/physical';
import { ProcessesView } from '../views/processes';
import { Timeline } from '../views/timeline';
import { Tooltip } from '../views/tooltip';
import type { Context, View } from '../views/view';
import { VirtualView } from '../views/virtual';
import { WritesView } from '../views/writes';
import { WalkBox } from '../views/walkbox';
import type { View as ViewName } from './state';
import { Store, type Focus } from './store';
import { cycleTheme, onThemeChange, themeLabel } from './theme';

interface Tab {
  name: ViewName;
  label: string;
  make: (context: Context) => View;
}

const PROCESSES: Tab = { name: 'processes', label: 'Processes', make: (context) => new ProcessesView(context) };
const TABS: Tab[] = [
  { name: 'space', label: 'Linear address space', make: (context) => new VirtualView(context) },
  { name: 'board', label: 'Blackboard', make: (context) => new BoardView(context) },
  { name: 'list', label: 'Mapped ranges', make: (context) => new MappingListView(context) },
  { name: 'changes', label: 'Changes', make: (context) => new ChangesView(context) },
  { name: 'writes', label: 'Writes', make: (context) => new WritesView(context) },
];

export function startApp(root: HTMLElement, boot: Boot): void {
  const store = new Store(boot);
  let palette = new Palette();
  const tooltip = new Tooltip();
  const context: Context = { boot, store, palette: () => palette, tooltip };
  const choices = boot.hasProcesses ? [PROCESSES, ...TABS] : TABS;
  const tabs = new Tabs(context, choices);
  const side: View[] = [
    ...(boot.hasProcesses ? [new FramePanel(context)] : []),
    new WalkBox(context),
    new Inspector(context),
  ];
  const timeline = new Timeline(context);
  const physical = new PhysicalView(context);
  const help = helpDialog(boot.hasProcesses);

  document.title = `${boot.title} · pgsim explorer`;
  const themeButton = h('button', { class: 'small', onclick: () => set(themeButton, 'aria-label', cycleTheme()) }, '◐');
  set(themeButton, 'aria-label', themeLabel());
  root.replaceChildren(
    h(
      'a',
      {
        class: 'skip',
        href: '#main',
        onclick: (event: Event) => {
          event.preventDefault();
          tabs.focusPanel();
        },
      },
      'Skip to the tables',
    ),
    h(
      'header',
      { class: 'top' },
      h('h1', {}, h('span', { class: 'brand' }, 'pgsim'), ' ', boot.title),
      h('p', { class: 'machine' }, machineText(boot)),
      themeButton,
      h('button', { class: 'small', 'aria-label': 'Help: how to use this page', onclick: () => help.showModal() }, '?'),
    ),
    timeline.element,
    h(
      'main',
      { id: 'main', class: 'columns' },
      h('div', { class: 'left' }, tabs.element, physical.element),
      h('div', { class: 'right' }, ...side.map((view) => view.element)),
    ),
    tooltip.element,
    help,
  );

  store.subscribe((focus) => {
    for (const view of [timeline, tabs, physical, ...side]) view.render(focus);
  });
  onThemeChange(() => {
    palette = new Palette();
    store.publish();
  });
  window.addEventListener('hashchange', () => {
    store.openFragment(location.hash);
    store.publish();
  });
  document.addEventListener('keydown', (event) => {
    if (isTyping(event.target) || event.ctrlKey || event.metaKey || event.altKey) return;
    const tab = choices[Number(event.key) - 1];
    if (tab) store.update({ view: tab.name });
    else if (event.key === '?') help.showModal();
  });
  store.openFragment(location.hash);
  store.publish();
}

/** "Linux 6.12.117 · 4 GiB of RAM · 4 levels · …" */
function machineText(boot: Boot): string {
  const { kernel, boot_params: params } = boot.data;
  const ram = (params?.e820 ?? [])
    .filter((entry) => entry.type === 1)
    .reduce((sum, entry) => sum + parseHex(entry.size), 0n);
  const levels = Math.max(...boot.checkpoints.map((checkpoint) => checkpoint.ownRoot.levels));
  return [
    kernel?.release ? `Linux ${kernel.release}` : '',
    ram > 0n ? `${bytes(ram)} RAM` : '',
    `${levels}-level paging`,
    boot.provenance ? 'simulated, with the journal of writes' : '',
  ]
    .filter(Boolean)
    .join(' · ');
}

/** The main views, one at a time. */
class Tabs implements View {
  readonly element: HTMLElement;
  private readonly buttons: HTMLButtonElement[] = [];
  private readonly panels: HTMLElement[] = [];
  private readonly views: (View | null)[];

  constructor(
    private readonly context: Context,
    private readonly tabs: Tab[],
  ) {
    this.views = tabs.map(() => null);
    tabs.forEach(({ name, label }, i) => {
      this.buttons.push(
        h(
          'button',
          {
            role: 'tab',
            id: `tab-${name}`,
            class: 'tab',
            'aria-controls': `panel-${name}`,
            title: `${label} (${i + 1})`,
            onclick: () => context.store.update({ view: name }),
          },
          label,
        ),
      );
      this.panels.push(
        h('div', {
          role: 'tabpanel',
          id: `panel-${name}`,
          class: 'tab-panel',
          'aria-labelledby': `tab-${name}`,
          hidden: true,
        }),
      );
    });
    this.element = h(
      'div',
      { class: 'tabs panel' },
      h(
        'div',
        {
          role: 'tablist',
          class: 'tablist',
          'aria-label': 'Views',
          onkeydown: (event: KeyboardEvent) => this.key(event),
        },
        ...this.buttons,
      ),
      ...this.panels,
    );
  }

  render(focus: Focus): void {
    this.tabs.forEach(({ name, make }, i) => {
      const on = focus.state.view === name;
      const panel = this.panels[i] as HTMLElement;
      panel.hidden = !on;
      set(this.buttons[i] as HTMLElement, 'aria-selected', String(on));
      set(this.buttons[i] as HTMLElement, 'tabindex', on ? '0' : '-1');
      if (!on) return;
      let view = this.views[i];
      if (!view) {
        view = this.views[i] = make(this.context);
        panel.append(view.element);
      }
      view.render(focus);
    });
  }

  focusPanel(): void {
    this.panels
      .find((panel) => !panel.hidden)
      ?.querySelector<HTMLElement>('[tabindex="0"], button, input, select')
      ?.focus();
  }

  private key(event: KeyboardEvent): void {
    const now = this.buttons.findIndex((button) => button.getAttribute('aria-selected') === 'true');
    const moves: Record<string, number> = {
      ArrowRight: (now + 1) % this.tabs.length,
      ArrowLeft: (now + this.tabs.length - 1) % this.tabs.length,
      Home: 0,
      End: this.tabs.length - 1,
    };
    const next = moves[event.key];
    if (next === undefined) return;
    event.preventDefault();
    this.context.store.update({ view: (TABS[next] as (typeof TABS)[number]).name });
    this.buttons[next]?.focus();
  }
}
