// SPDX-License-Identifier: GPL-2.0-only
/** Page faults in words (SDM-3A "Page-Fault Exceptions"). */
import { hex } from './hex';
import { entryName } from './level';
import {
  ERROR_ID,
  ERROR_P,
  ERROR_PK,
  ERROR_RSVD,
  ERROR_US,
  ERROR_WR,
  type Access,
  type Cause,
  type Outcome,
  type WalkResult,
} from './walk';

/** "P=1 W/R=1 U/S=0": the bits that an error code sets, with those that are always told. */
export function errorCodeText(code: number): string {
  const bit = (mask: number): number => (code & mask ? 1 : 0);
  const parts = [`P=${bit(ERROR_P)}`, `W/R=${bit(ERROR_WR)}`, `U/S=${bit(ERROR_US)}`];
  if (code & ERROR_RSVD) parts.push('RSVD=1');
  if (code & ERROR_ID) parts.push('I/D=1');
  if (code & ERROR_PK) parts.push('PK=1');
  return parts.join(' ');
}

const WORDS: Record<Cause, string> = {
  'not-present': 'the entry is not present',
  reserved: 'a reserved bit is set',
  user: 'a user-mode access, and U/S = 0 on the path',
  write: 'a write, and R/W = 0 on the path',
  execute: 'an instruction fetch, and XD = 1 on the path',
  smep: 'a supervisor fetch from a user page, and CR4.SMEP = 1',
  smap: 'a supervisor access to a user page, and CR4.SMAP = 1',
  key: 'the page’s protection key forbids it',
};

interface Situation {
  walk: WalkResult;
  state: { access: Access };
}

/** One sentence: what refused the access, and which entry is to blame. */
export function causeText(outcome: Extract<Outcome, { kind: 'fault' }>, { walk }: Situation): string {
  const reasons = outcome.causes.map((cause) => WORDS[cause]).join('; ');
  const guilty = walk.steps.find((step) =>
    blames(outcome.causes, step.entry.raw, step.entry.reservedSet, step.level === outcome.level),
  );
  const place = guilty ? ` (${entryName(guilty.level)} ${guilty.index} = ${hex(guilty.entry.raw)})` : '';
  return `${reasons}${place}. CR2 = ${hex(walk.va)}.`;
}

function blames(causes: Cause[], raw: bigint, reservedSet: bigint, last: boolean): boolean {
  return causes.some((cause) => {
    if (cause === 'not-present') return (raw & 1n) === 0n;
    if (cause === 'reserved') return reservedSet !== 0n;
    if (cause === 'write') return (raw & 2n) === 0n;
    if (cause === 'user') return (raw & 4n) === 0n;
    if (cause === 'execute') return raw >> 63n === 1n;
    return last;
  });
}
