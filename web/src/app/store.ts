// SPDX-License-Identifier: GPL-2.0-only
/** The one place where state changes. Views read a `Focus`, which says what the state means for this boot. */
import { Boot, type Checkpoint, type Root } from '../model/boot';
import { diff, type Difference } from '../model/diff';
import { baseOf, decode, isTable, type DecodedEntry } from '../model/entry';
import { parseHex, parseTyped } from '../model/hex';
import { indexOf, slotAddress, slotSize, type Level } from '../model/level';
import { mappingsOf, whoMaps, type MappingList } from '../model/mappings';
import { ProcessModel } from '../model/processes';
import { ownersOf, sizesOf, type Segment, type SizeClass } from '../model/owners';
import { walk, type WalkResult } from '../model/walk';
import { fromFragment, initialState, toFragment, type State } from './state';

/** The entry that the inspector shows. */
export interface SelectedEntry {
  tablePa: bigint;
  level: Level;
  index: number;
  entryPa: bigint;
  decoded: DecodedEntry;
  /** First linear address of its slot; null when no root reaches the table. */
  va: bigint | null;
}

export interface Focus {
  state: State;
  checkpoint: Checkpoint;
  compared: Checkpoint | null;
  root: Root;
  /** The walk of state.va, by the access chosen. */
  walk: WalkResult;
  entry: SelectedEntry | null;
  /** Physical bytes that the selection means: a page, a table, or one address. */
  target: { start: bigint; end: bigint } | null;
}

type Listener = (focus: Focus) => void;

export class Store {
  state: State = initialState();
  /** What the page shows when its address says nothing. */
  private readonly defaults: State;
  private readonly listeners: Listener[] = [];
  private readonly mappingCache = new Map<string, MappingList>();
  private readonly diffCache = new Map<string, Difference>();
  private readonly ownerCache = new Map<Checkpoint, Segment[]>();
  private readonly sizeCache = new Map<string, Segment<SizeClass>[]>();
  private readonly processCache = new Map<Checkpoint, ProcessModel>();
  private lastAliases: { list: MappingList; pa: bigint; found: bigint[] } | null = null;
  private queued = false;

  constructor(readonly boot: Boot) {
    const text = boot.data.layout?.text_pa;
    this.state.va = (text ? parseTyped(text) : null) ?? 0n;
    if (boot.hasProcesses) this.beginWithProcesses();
    this.defaults = { ...this.state };
  }

  /** The first page of the first area that any process gets, as user mode sees it. */
  private beginWithProcesses(): void {
    const areas = this.boot.checkpoints.flatMap(({ data }) => data.processes ?? []).flatMap(({ areas: all }) => all);
    if (areas[0]) this.state.va = parseHex(areas[0].start);
    this.state.access = { kind: 'read', user: true };
    this.state.view = 'processes';
  }

  subscribe(listener: Listener): void {
    this.listeners.push(listener);
  }

  /** Changes the state; views follow in the next frame. A new address drops what was selected besides it. */
  update(change: Partial<State>): void {
    const next = { ...this.state, ...change };
    if (change.va !== undefined && change.entry === undefined) next.entry = null;
    if (change.va !== undefined && change.pa === undefined) next.pa = null;
    if (change.va !== undefined && change.step === undefined) next.step = null;
    this.state = next;
    if (this.queued) return;
    this.queued = true;
    requestAnimationFrame(() => {
      this.queued = false;
      this.publish();
    });
  }

  /** A change that needs no new picture: a view has already drawn it. */
  note(change: Partial<State>): void {
    this.state = { ...this.state, ...change };
    this.writeFragment();
  }

  private writeFragment(): void {
    history.replaceState(null, '', `#${toFragment(this.state, this.defaults)}`);
  }

  openFragment(fragment: string): void {
    this.state = { ...this.defaults, ...fromFragment(fragment) };
    if (this.state.view === 'processes' && !this.boot.hasProcesses) this.state.view = this.defaults.view;
  }

  publish(): void {
    this.writeFragment();
    const focus = this.focus();
    for (const listener of this.listeners) listener(focus);
  }

  focus(): Focus {
    const { state, boot } = this;
    const checkpoint = boot.checkpoint(state.cp) ?? (boot.checkpoints[0] as Checkpoint);
    const compared = state.vs ? (boot.checkpoint(state.vs) ?? null) : null;
    const root = this.rootOf(checkpoint);
    const result = walk(checkpoint.read, root.pa, state.va, state.access, { ...checkpoint.state, levels: root.levels });
    const entry = state.entry ? this.looseEntry(checkpoint) : this.entryOnWalk(checkpoint, result);
    return {
      state,
      checkpoint,
      compared: compared === checkpoint ? null : compared,
      root,
      walk: result,
      entry,
      target: this.target(entry),
    };
  }

  /** The root that the state names, at this checkpoint. */
  rootOf(checkpoint: Checkpoint): Root {
    const { root } = this.state;
    const named = checkpoint.roots.find(({ name }) => name === root);
    if (named) return named;
    const pa = root.startsWith('0x') ? parseTyped(root) : null;
    return pa === null ? checkpoint.ownRoot : { name: root, pa: pa & ~0xfffn, levels: checkpoint.ownRoot.levels };
  }

  private looseEntry(checkpoint: Checkpoint): SelectedEntry | null {
    const place = this.state.entry;
    const table = place && checkpoint.table(place.pa, place.level);
    if (!place || !table) return null;
    const home = checkpoint.placeOf(place.pa, place.level);
    return {
      tablePa: place.pa,
      level: place.level,
      index: place.index,
      entryPa: place.pa + 8n * BigInt(place.index),
      decoded: decode(table.entry(place.index), place.level, checkpoint.state),
      va: home ? slotAddress(home.base, place.level, place.index, home.root.levels) : null,
    };
  }

  private entryOnWalk(checkpoint: Checkpoint, result: WalkResult): SelectedEntry | null {
    const { level, step } = this.state;
    const steps = step === null ? result.steps : result.steps.slice(0, Math.max(step, 0));
    const chosen = steps.find((s) => s.level === level) ?? steps[steps.length - 1];
    if (!chosen) return null;
    const slot = slotSize(chosen.level);
    return {
      tablePa: chosen.tablePa,
      level: chosen.level,
      index: chosen.index,
      entryPa: chosen.entryPa,
      decoded: decode(chosen.entry.raw, chosen.level, checkpoint.state),
      va: result.va & ~(slot - 1n),
    };
  }

  private target(entry: SelectedEntry | null): Focus['target'] {
    const { pa } = this.state;
    if (pa !== null) return { start: pa, end: pa + 1n };
    if (!entry || !entry.decoded.present) return null;
    const { decoded } = entry;
    return { start: decoded.base, end: decoded.base + (decoded.pageSize ?? 0x1000n) };
  }

  mappings(checkpoint: Checkpoint, root: Root): MappingList {
    const key = `${checkpoint.index}.${root.pa}.${root.levels}`;
    return cached(this.mappingCache, key, () => mappingsOf(checkpoint, root));
  }

  diff(before: Checkpoint, after: Checkpoint): Difference {
    return cached(this.diffCache, `${before.index}.${after.index}`, () => diff(before, after));
  }

  /** What changed on the way to a checkpoint: against the one compared with, else against the one before. */
  changes(focus: Focus): { from: Checkpoint | null; difference: Difference | null } {
    const from = focus.compared ?? this.boot.checkpoints[focus.checkpoint.index - 1] ?? null;
    return { from, difference: from && this.diff(from, focus.checkpoint) };
  }

  processes(checkpoint: Checkpoint): ProcessModel {
    return cached(this.processCache, checkpoint, () => new ProcessModel(checkpoint));
  }

  /** The process and page that the selection means, or the frame, when that was chosen. */
  picked(focus: Focus): { process: string; va: bigint; pfn: number | null } {
    const process = this.processes(focus.checkpoint).processOf(focus.root)?.name ?? focus.root.name;
    const { pa } = focus.state;
    return { process, va: focus.state.va, pfn: pa === null ? null : Number(pa >> 12n) };
  }

  selectPage(process: string, va: bigint): void {
    this.update({ root: process, va, level: null, entry: null });
  }

  /** Selects a frame: by a page that maps it now or did before, if there is one. */
  selectFrame(focus: Focus, pfn: number, before: Checkpoint | null): void {
    const pa = BigInt(pfn) << 12n;
    const now = this.processes(focus.checkpoint).mappers(pfn);
    const old = before ? this.processes(before).mappers(pfn) : [];
    const mapper = now[0] ?? old[0];
    if (mapper) this.update({ root: mapper.process.name, va: mapper.va, level: null, entry: null, pa });
    else this.update({ pa });
  }

  owners(checkpoint: Checkpoint): Segment[] {
    return cached(this.ownerCache, checkpoint, () =>
      ownersOf(this.boot, checkpoint, this.mappings(checkpoint, checkpoint.ownRoot)),
    );
  }

  sizes(checkpoint: Checkpoint, root: Root): Segment<SizeClass>[] {
    return cached(this.sizeCache, `${checkpoint.index}.${root.pa}`, () =>
      sizesOf(this.boot, checkpoint, this.mappings(checkpoint, root)),
    );
  }

  /** Linear addresses at which a physical address can be reached, from the current root. */
  aliases(focus: Focus, pa: bigint): bigint[] {
    const list = this.mappings(focus.checkpoint, focus.root);
    // Several views ask for the same byte in one frame, and a list may have 70,000 ranges.
    if (this.lastAliases?.list !== list || this.lastAliases.pa !== pa)
      this.lastAliases = { list, pa, found: whoMaps(list, pa).map(({ va }) => va) };
    return this.lastAliases.found;
  }

  /** Selects entry `index` of a table on the walk; below it, the first entries in use are followed down to a page. */
  selectSlot(focus: Focus, level: Level, index: number): void {
    const base = focus.state.va & ~(slotSize(level) * 512n - 1n);
    let va = slotAddress(base, level, index, focus.root.levels);
    let table = focus.walk.steps.find((step) => step.level === level)?.tablePa;
    for (let at: number = level; table !== undefined && at > 1; at--) {
      const current = focus.checkpoint.table(table, at as Level);
      const raw = current?.entry(indexOf(va, at as Level)) ?? 0n;
      if (!isTable(raw, at as Level)) break;
      table = baseOf(raw, at as Level);
      const first = focus.checkpoint.table(table, (at - 1) as Level)?.nextUsed(0, 1) ?? 0;
      va = slotAddress(va, (at - 1) as Level, first, focus.root.levels);
    }
    this.update({ va, level, entry: null });
  }

  /** Selects an entry by its place: on a walk if a root reaches its table, else on its own. */
  selectEntry(checkpoint: Checkpoint, tablePa: bigint, level: Level, index: number): void {
    const place = checkpoint.placeOf(tablePa, level);
    if (place) {
      const va = slotAddress(place.base, level, index, place.root.levels);
      this.update({ va, level, root: place.root.name, entry: null });
    } else {
      this.update({ entry: { pa: tablePa, level, index }, pa: null, step: null });
    }
  }

  /** Selects a physical address: the table there, or a linear address that maps it, if there is one. */
  selectPhysical(focus: Focus, pa: bigint): void {
    const table = focus.checkpoint.tableAt(pa);
    if (table) {
      this.selectEntry(focus.checkpoint, table.pa, table.level, Number((pa >> 3n) & 511n));
      this.update({ pa });
      return;
    }
    const va = this.aliases(focus, pa)[0];
    if (va === undefined) this.update({ pa });
    else this.update({ va, level: null, pa });
  }
}

function cached<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const found = map.get(key);
  if (found !== undefined) return found;
  const value = make();
  map.set(key, value);
  return value;
}
