// SPDX-License-Identifier: GPL-2.0-only
import type { ExplorerData } from './data/contract';
import { Boot } from './model/boot';
import { startApp } from './app/app';
import './style/base.css';
import './style/timeline.css';
import './style/memory.css';
import './style/walk.css';
import './style/inspector.css';
import './style/board.css';
import './style/lists.css';
import './style/processes.css';

const app = document.getElementById('app') as HTMLElement;
const text = (document.getElementById('pgsim-data')?.textContent ?? '').trim();

function fail(reason: string): void {
  app.textContent = `This page has no boot to show: ${reason}`;
  app.className = 'failed';
}

try {
  startApp(app, new Boot(JSON.parse(text) as ExplorerData));
} catch (error) {
  fail(text.startsWith('@') ? 'it is the empty template; pgsim fills it with a boot’s data.' : String(error));
  if (!text.startsWith('@')) throw error;
}
