// SPDX-License-Identifier: GPL-2.0-only
import { describe, expect, test } from 'vitest';
import { fromFragment, initialState, toFragment, type State } from '../src/app/state';

describe('The state in the address', () => {
  const full: State = {
    cp: 'init_mem_mapping.exit',
    vs: 'buddy.exit',
    root: 'task.kernel',
    va: 0xffff888000200000n,
    level: 3,
    entry: { pa: 0x2c24000n, level: 3, index: 5 },
    pa: 0xfffffffffffffn,
    access: { kind: 'write', user: true },
    step: 2,
    view: 'board',
    mem: 'size',
    bars: 'true',
    show: 'after',
    filter: 'wx',
    find: 'direct map & more',
    ad: true,
    loose: true,
    scope: 'table',
    win: { start: 0x1000000n, size: 0x4000000n },
  };
  test('comes back as it was', () => {
    expect({ ...initialState(), ...fromFragment(`#${toFragment(full)}`) }).toEqual(full);
    const other = { ...initialState(), va: 0xffffffffffffffffn };
    expect({ ...initialState(), ...fromFragment(toFragment(other)) }).toEqual(other);
  });
  test('leaves out what is wrong and keeps the rest', () => {
    expect(
      fromFragment('#cp=a%20b&va=hello&level=9&entry=0x1.2.512&access=q&view=nothing&pa=0x10&%E0%A4%A=1&root=%E0'),
    ).toEqual({ cp: 'a b', pa: 16n });
    expect(fromFragment('')).toEqual({});
  });
});
