// SPDX-License-Identifier: GPL-2.0-only
import { describe, expect, test } from 'vitest';
import { parseHex } from '../src/model/hex';
import { pagingState, walk, type Access, type AccessKind } from '../src/model/walk';
import { testData } from './support';

/** A sample of the MMU vectors: single accesses, measured on QEMU, KVM and Bochs; the format is in test-data/README.md. */
interface Vector {
  id: string;
  levels: number;
  maxphy: number;
  vendor: 'any' | 'intel' | 'amd';
  st: { cr0: string; cr3: string; cr4: string; efer: string; ac: number; pkru?: string; pkrs?: string };
  mem: [string, string][];
  acc: string;
  cpl: number;
  va: string;
  r: 'ok' | 'PF' | 'GP' | 'SS';
  pa?: string;
  page?: number;
  err?: number;
  why: string;
}

const KIND: Record<string, AccessKind> = {
  read: 'read',
  write: 'write',
  rmw: 'write',
  fetch: 'fetch',
  read_ss: 'read',
  write_ss: 'write',
  sys_read: 'read',
  sys_write: 'write',
};

function observed(vector: Vector): object {
  const { st } = vector;
  const memory = new Map(vector.mem.map(([pa, value]) => [parseHex(pa), parseHex(value)]));
  const state = {
    ...pagingState(parseHex(st.cr0), parseHex(st.cr4), parseHex(st.efer), vector.maxphy, vector.levels),
    ac: st.ac === 1,
    gbPages: true,
    ...(vector.vendor === 'any' ? {} : { vendor: vector.vendor }),
    ...(st.pkru === undefined ? {} : { pkru: Number(st.pkru) }),
    ...(st.pkrs === undefined ? {} : { pkrs: Number(st.pkrs) }),
  };
  const access: Access = {
    kind: KIND[vector.acc] as AccessKind,
    user: vector.cpl === 3,
    implicit: vector.acc.startsWith('sys_'),
  };
  const { outcome } = walk((pa) => memory.get(pa) ?? 0n, parseHex(st.cr3), parseHex(vector.va), access, state);
  if (outcome.kind === 'translation')
    return { r: 'ok', pa: `0x${outcome.pa.toString(16)}`, page: outcome.pageSize.toString(2).length - 1 };
  if (outcome.kind === 'fault') return { r: 'PF', err: outcome.errorCode };
  return { r: outcome.kind };
}

const wanted = (vector: Vector): object => {
  if (vector.r === 'ok') return { r: 'ok', pa: vector.pa, page: vector.page };
  return vector.r === 'PF' ? { r: 'PF', err: vector.err } : { r: 'non-canonical' };
};

describe('The walker agrees with measured processors', () => {
  const vectors = testData<Vector[]>(process.env['PGSIM_VECTORS'] ?? 'mmu-vectors.json');

  test('there are vectors of every outcome', () => {
    expect(new Set(vectors.map((vector) => vector.r))).toEqual(new Set(['ok', 'PF', 'GP', 'SS']));
  });

  test.each(vectors.map((vector) => [vector.id, vector.why, vector] as const))('%s: %s', (_id, _why, vector) => {
    expect(observed(vector)).toEqual(wanted(vector));
  });
});
