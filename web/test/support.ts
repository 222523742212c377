// SPDX-License-Identifier: GPL-2.0-only
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { ExplorerData } from '../src/data/contract';
import { Boot } from '../src/model/boot';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** A file of web/test-data, parsed. */
export const testData = <T>(name: string): T => JSON.parse(readFileSync(`${root}/web/test-data/${name}`, 'utf8')) as T;

/** A measured boot capture from tests/data/captures. */
export function captureData(name: string): ExplorerData {
  const text = execFileSync('xz', ['-dc', `${root}/tests/data/captures/${name}.json.xz`], { maxBuffer: 1 << 28 });
  return JSON.parse(text.toString()) as ExplorerData;
}

export const capture = (name: string): Boot => new Boot(captureData(name));
