// SPDX-License-Identifier: GPL-2.0-only
/** What a step of a run of processes came to, in words. */
import type { Checkpoint } from './boot';
import { plural } from './hex';

const ERRORS: Record<number, string> = {
  11: 'EAGAIN',
  12: 'ENOMEM',
  13: 'EACCES',
  14: 'EFAULT',
  17: 'EEXIST',
  22: 'EINVAL',
};
const SIGNALS: Record<number, string> = { 7: 'SIGBUS', 9: 'SIGKILL', 11: 'SIGSEGV' };
const CODES: Record<string, string> = {
  '11.1': 'SEGV_MAPERR: no area there',
  '11.2': 'SEGV_ACCERR: the area does not allow it',
  '11.4': 'SEGV_PKUERR: a protection key forbids it',
  '11.128': 'SI_KERNEL',
  '7.2': 'BUS_ADRERR: beyond the end of the file',
};

/** What the step came to, in one sentence. */
export function outcomeText(checkpoint: Checkpoint): string {
  const { operation } = checkpoint.data;
  if (!operation) return 'The run begins: nothing has been done yet.';
  const faults = [
    (operation.minflt ?? 0) > 0 ? plural(operation.minflt ?? 0, 'minor fault') : '',
    (operation.majflt ?? 0) > 0 ? plural(operation.majflt ?? 0, 'major fault') : '',
  ].filter(Boolean);
  const { signal } = operation;
  const parts = [
    faults.length > 0 ? faults.join(', ') : 'no page fault',
    signal
      ? `${SIGNALS[signal.signo] ?? `signal ${signal.signo}`} at ${signal.address} (${CODES[`${signal.signo}.${signal.code}`] ?? `code ${signal.code}`})`
      : '',
    operation.error ? `error ${operation.error}${ERRORS[operation.error] ? ` (${ERRORS[operation.error]})` : ''}` : '',
    (operation.allocated ?? 0) > 0 ? `${plural(operation.allocated ?? 0, 'frame')} allocated` : '',
    (operation.freed ?? 0) > 0 ? `${plural(operation.freed ?? 0, 'frame')} freed` : '',
    operation.cycles !== undefined ? plural(operation.cycles, 'cycle') : '',
  ];
  return `${operation.process}: ${parts.filter(Boolean).join('; ')}.`;
}

/** What should not happen, one sentence each. */
export function warningsOf({ data }: Checkpoint): string[] {
  const { killed, stale, foreign_writes: foreign } = data.operation ?? {};
  return [
    ...(killed ?? []).map((name) => `The OOM killer took ${name}.`),
    ...(foreign ?? []).map(
      ({ process, address, pfn }) =>
        `Stale write: ${process} did not write, but its private page at ${address} (frame 0x${pfn.toString(16)}) changed.`,
    ),
    ...(stale ?? []).map(
      ({ address, pfn, writable, entry }) =>
        `The TLB still translates ${address} to frame 0x${pfn.toString(16)}${writable ? ', writable' : ''}; the tables say ${entry}.`,
    ),
  ];
}

/** One line of a told way: a step, or how many more of the same function follow. */
export interface ToldStep {
  function: string;
  what: string;
  /** So many more steps of this function, not told one by one. */
  more: number;
}

/** Steps in a row of one function are told once when they are more than three; at most `limit` lines. */
export function toldSteps(steps: { function: string; what?: string }[], limit: number): ToldStep[] {
  const out: ToldStep[] = [];
  for (let i = 0; i < steps.length && out.length < limit; ) {
    const step = steps[i] as { function: string; what?: string };
    let end = i + 1;
    while (steps[end]?.function === step.function) end++;
    const told = end - i > 3 ? 1 : end - i;
    for (let k = i; k < i + told; k++)
      out.push({ function: step.function, what: steps[k]?.what ?? '', more: told === 1 ? end - i - 1 : 0 });
    i = end;
  }
  return out;
}
