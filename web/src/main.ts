// SPDX-License-Identifier: GPL-2.0-only
import type { ExplorerData } from './data/contract';

const data = JSON.parse(document.getElementById('pgsim-data')?.textContent ?? '') as ExplorerData;
const app = document.getElementById('app');
if (app) app.textContent = data.checkpoints.map((checkpoint) => checkpoint.name).join('\n');
