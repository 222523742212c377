// SPDX-License-Identifier: GPL-2.0-only
/** What the page shows, and the same as a URL fragment, so that a link reopens it. */
import { hex, parseHex } from '../model/hex';
import { asLevel, type Level } from '../model/level';
import type { BarScale } from '../model/slotscale';
import type { Access, AccessKind } from '../model/walk';

export type View = 'processes' | 'space' | 'board' | 'list' | 'changes' | 'writes';
/** Which moments of a step the processes are shown at. */
export type Moments = 'both' | 'before' | 'after';
export type MemoryColours = 'owner' | 'size';
/** Which mapped ranges are listed: all, writable, executable, both, user. */
export type Filter = '' | 'w' | 'x' | 'wx' | 'u';
/** Which writes are listed: of the stage, to the selected table, all. */
export type Scope = 'stage' | 'table' | 'all';

/** An entry by its place in memory. */
export interface EntryPlace {
  pa: bigint;
  level: Level;
  index: number;
}

export interface State {
  /** Name of the checkpoint; '' = the first. */
  cp: string;
  /** Name of the checkpoint compared with; '' = none. */
  vs: string;
  /** '' = the checkpoint's own root, a root's name, or "0x…" for any CR3. */
  root: string;
  va: bigint;
  /** Level of the selected entry on the walk; null = the last one. */
  level: Level | null;
  /** An entry that lies on no walk. */
  entry: EntryPlace | null;
  pa: bigint | null;
  access: Access;
  /** Walk step shown; null = all. */
  step: number | null;
  view: View;
  mem: MemoryColours;
  bars: BarScale;
  show: Moments;
  filter: Filter;
  /** What is searched among the mapped ranges. */
  find: string;
  /** Whether changes of Accessed and Dirty alone are listed too. */
  ad: boolean;
  /** Whether the blackboard has the tables that no root reaches. */
  loose: boolean;
  scope: Scope;
  /** The part of physical memory that is seen closer; null = around the selection. */
  win: { start: bigint; size: bigint } | null;
}

export const initialState = (): State => ({
  cp: '',
  vs: '',
  root: '',
  va: 0n,
  level: null,
  entry: null,
  pa: null,
  access: { kind: 'read', user: false },
  step: null,
  view: 'space',
  mem: 'owner',
  bars: 'fit',
  show: 'both',
  filter: '',
  find: '',
  ad: false,
  loose: false,
  scope: 'stage',
  win: null,
});

const VIEWS: View[] = ['processes', 'space', 'board', 'list', 'changes', 'writes'];
const KINDS: Record<string, AccessKind> = { r: 'read', w: 'write', x: 'fetch' };
const LETTERS: Record<AccessKind, string> = { read: 'r', write: 'w', fetch: 'x' };

/** The fragment without '#'. Keys whose value is the document's default are left out. */
export function toFragment(state: State, defaults: State = initialState()): string {
  const parts: [string, string][] = [];
  const add = (key: string, value: string | null): void => {
    if (value !== null && value !== '') parts.push([key, value]);
  };
  add('cp', state.cp);
  add('vs', state.vs);
  add('root', state.root);
  add('va', hex(state.va));
  add('level', state.level === null ? null : String(state.level));
  add('entry', state.entry && `${hex(state.entry.pa)}.${state.entry.level}.${state.entry.index}`);
  add('pa', state.pa === null ? null : hex(state.pa));
  const access = (of: State): string => LETTERS[of.access.kind] + (of.access.user ? 'u' : '');
  const unlessDefault = (key: string, value: string, usual: string): void => add(key, value === usual ? null : value);
  unlessDefault('access', access(state), access(defaults));
  add('step', state.step === null ? null : String(state.step));
  for (const key of ['view', 'mem', 'bars', 'show', 'filter', 'find', 'scope'] as const)
    unlessDefault(key, state[key], defaults[key]);
  for (const key of ['ad', 'loose'] as const) add(key, state[key] ? 'true' : null);
  add('win', state.win && `${hex(state.win.start)}.${hex(state.win.size)}`);
  return parts.map(([key, value]) => `${key}=${encodeURIComponent(value)}`).join('&');
}

/** What a fragment says; what it does not say, or says wrongly, is left out. */
export function fromFragment(fragment: string): Partial<State> {
  const out: Partial<State> = {};
  const keys = new Map<string, string>();
  for (const part of fragment.replace(/^#/, '').split('&')) {
    const [key, value] = part.split('=');
    if (!key || value === undefined) continue;
    try {
      keys.set(key, decodeURIComponent(value));
    } catch {
      // A damaged link still opens: what cannot be read counts as absent.
    }
  }
  for (const key of ['cp', 'vs', 'root'] as const) {
    const value = keys.get(key);
    if (value !== undefined) out[key] = value;
  }
  const va = number64(keys.get('va'));
  if (va !== null) out.va = va;
  const pa = number64(keys.get('pa'));
  if (pa !== null) out.pa = pa;
  const level = /^[1-5]$/.exec(keys.get('level') ?? '');
  if (level) out.level = asLevel(Number(level[0]));
  const entry = /^(0x[0-9a-f]{1,16})\.([1-5])\.(\d{1,3})$/i.exec(keys.get('entry') ?? '');
  if (entry && Number(entry[3]) < 512) {
    out.entry = { pa: parseHex(entry[1] as string), level: asLevel(Number(entry[2])), index: Number(entry[3]) };
  }
  const access = /^([rwx])(u?)$/.exec(keys.get('access') ?? '');
  if (access) out.access = { kind: KINDS[access[1] as string] as AccessKind, user: access[2] === 'u' };
  const step = /^\d$/.exec(keys.get('step') ?? '');
  if (step) out.step = Number(step[0]);
  const view = keys.get('view');
  if (VIEWS.includes(view as View)) out.view = view as View;
  const mem = keys.get('mem');
  if (mem === 'owner' || mem === 'size') out.mem = mem;
  const bars = keys.get('bars');
  if (bars === 'true' || bars === 'fit') out.bars = bars;
  const show = keys.get('show');
  if (show === 'both' || show === 'before' || show === 'after') out.show = show;
  const filter = keys.get('filter');
  if (filter === 'w' || filter === 'x' || filter === 'wx' || filter === 'u') out.filter = filter;
  const scope = keys.get('scope');
  if (scope === 'stage' || scope === 'table' || scope === 'all') out.scope = scope;
  const find = keys.get('find');
  if (find !== undefined) out.find = find;
  if (keys.get('ad') === 'true') out.ad = true;
  if (keys.get('loose') === 'true') out.loose = true;
  const [start, size] = (keys.get('win') ?? '').split('.').map(number64);
  if (start !== null && start !== undefined && size) out.win = { start, size };
  return out;
}

function number64(text: string | undefined): bigint | null {
  return text !== undefined && /^0x[0-9a-f]{1,16}$/i.test(text) ? parseHex(text) : null;
}
