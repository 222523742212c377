// SPDX-License-Identifier: GPL-2.0-only
/** Debian's Chromium on the built page, from file://, with no network. */
import { execFileSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { chromium, type Browser, type Page } from 'playwright-core';
import type { ExplorerData } from '../src/data/contract';

const web = fileURLToPath(new URL('..', import.meta.url));
const results = `${web}/test-results`;

const root = fileURLToPath(new URL('../..', import.meta.url));

/** The program that writes pages: PGSIM, else the one that a usual build made; undefined when there is none. */
export const program = [
  process.env['PGSIM'] ?? '',
  ...['ci', 'release', 'dev'].map((preset) => `${root}build/${preset}/tools/pgsim/pgsim`),
].find((path) => path !== '' && existsSync(path));

/** The address of the page that the program writes with these arguments. */
export function pageOf(name: string, args: string[]): string {
  mkdirSync(results, { recursive: true });
  const file = `${results}/${name}.html`;
  execFileSync(program as string, [...args, '--html', file], { cwd: root });
  return pathToFileURL(file).href;
}

/** Writes a file for the program to read; returns its path. */
export function writeText(name: string, lines: string[]): string {
  mkdirSync(results, { recursive: true });
  writeFileSync(`${results}/${name}`, `${lines.join('\n')}\n`);
  return `${results}/${name}`;
}

const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

export async function startBrowser(): Promise<Browser> {
  const executablePath = process.env['CHROMIUM'] ?? '/usr/bin/chromium';
  if (!existsSync(executablePath))
    throw new Error(`no browser at ${executablePath}; install Debian's chromium or set CHROMIUM`);
  return chromium.launch({ executablePath, args: FLAGS });
}

/** Writes the page as the C++ library does; returns its file:// address. */
export function writePage(name: string, data: ExplorerData): string {
  mkdirSync(results, { recursive: true });
  const [before, after] = readFileSync(`${web}/dist/index.html`, 'utf8').split('@PGSIM_DATA@') as [string, string];
  const file = `${results}/${name}.html`;
  writeFileSync(file, before + JSON.stringify(data).replace(/</g, '\\u003c') + after);
  return pathToFileURL(file).href;
}

export interface OpenPage {
  page: Page;
  /** Messages of errors, and every request other than the page itself. */
  troubles: string[];
}

export async function openPage(
  browser: Browser,
  address: string,
  options: { dark?: boolean; width?: number; height?: number } = {},
): Promise<OpenPage> {
  const page = await browser.newPage({
    viewport: { width: options.width ?? 1440, height: options.height ?? 1000 },
    colorScheme: options.dark ? 'dark' : 'light',
  });
  const troubles: string[] = [];
  page.on('pageerror', (error) => troubles.push(error.message));
  page.on('console', (message) => message.type() === 'error' && troubles.push(message.text()));
  page.on(
    'request',
    (request) => request.url().split('#')[0] !== address.split('#')[0] && troubles.push(`request for ${request.url()}`),
  );
  await page.goto(address);
  await page.waitForSelector('.stop[aria-checked="true"]');
  return { page, troubles };
}

/** After a change of state the views follow in the next frame. */
export const settled = (page: Page): Promise<unknown> =>
  page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));

/** What axe calls serious or critical, one line each. */
export async function seriousProblems(page: Page): Promise<string[]> {
  await page.evaluate(readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8'));
  return page.evaluate(async () => {
    const found = await (
      window as unknown as {
        axe: {
          run(): Promise<{
            violations: { id: string; impact: string; nodes: { html: string; failureSummary: string }[] }[];
          }>;
        };
      }
    ).axe.run();
    return found.violations
      .filter(({ impact }) => impact === 'serious' || impact === 'critical')
      .map(
        ({ id, nodes }) =>
          `${id}: ${nodes
            .slice(0, 3)
            .map((node) => `${node.html.slice(0, 120)} — ${node.failureSummary}`)
            .join(' | ')}`,
      );
  });
}
