// SPDX-License-Identifier: GPL-2.0-only
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { copyOnWrite, everyKindOfPage } from '../test/documents';
import { openPage, pageOf, program, seriousProblems, settled, startBrowser, writePage, type OpenPage } from './browser';

let browser: Browser;
let run: string;

beforeAll(async () => {
  browser = await startBrowser();
  run = writePage('copy-on-write', copyOnWrite());
});
afterAll(() => browser?.close());

const opened = (fragment = '', address = run): Promise<OpenPage> => openPage(browser, `${address}${fragment}`);
const lit = (page: Page, scene: string): Promise<string[]> =>
  page.locator(`[data-scene="${scene}"] .cell.lit`).evaluateAll((cells) => cells.map((c) => c.dataset['key'] ?? ''));

describe('Processes side by side', () => {
  test('are what a run opens with; the first moment has no before', async () => {
    const open = await opened();
    expect(await open.page.getAttribute('#tab-processes', 'aria-selected')).toBe('true');
    expect(await open.page.textContent('#stage-title')).toBe('the start');
    expect(await open.page.locator('[data-scene="before"]').isVisible()).toBe(false);
    expect(await open.page.locator('[data-scene="after"] .process').count()).toBe(1);
    expect(open.troubles).toEqual([]);
    await open.page.close();
  });

  test('a boot has no such view', async () => {
    const bare = copyOnWrite();
    for (const checkpoint of bare.checkpoints) delete checkpoint.processes;
    const open = await opened('#view=processes', writePage('no-processes', bare));
    expect(await open.page.locator('#tab-processes').count()).toBe(0);
    expect(await open.page.locator('.bar').count()).toBeGreaterThan(0);
    expect(open.troubles).toEqual([]);
    await open.page.close();
  });

  test('select a frame: every page that maps it lights up, with refcount and mapcount', async () => {
    const open = await opened('#cp=step-1');
    await open.page.click('[data-scene="after"] [data-key="frame.301"]');
    await settled(open.page);
    expect(await lit(open.page, 'after')).toEqual(['P.0x100000001000', 'C.0x100000001000', 'frame.301']);
    const panel = await open.page.textContent('.frame-panel');
    expect(panel).toMatch(/Page frame 0x301.*refcount2 \(was 1\).*mapcount2 \(was 1\)/);
    expect(panel).toMatch(/P 0x100000001000 read-only.*C 0x100000001000 read-only/);
    expect(await open.page.locator('[data-scene="after"] .link.lit').count()).toBe(2);
    await open.page.close();
  });

  test('the first write after a fork splits the frame: before it both have it, after it each has its own', async () => {
    const open = await opened('#cp=step-1');
    await open.page.keyboard.press(']');
    await settled(open.page);
    expect(await open.page.textContent('#stage-title')).toBe('P write 0x100000000000 1');
    await open.page.click('[data-scene="after"] [data-key="P.0x100000000000"]');
    await settled(open.page);
    expect(await lit(open.page, 'before')).toEqual(['P.0x100000000000', 'C.0x100000000000', 'frame.300']);
    expect(await lit(open.page, 'after')).toEqual(['P.0x100000000000', 'frame.302']);
    expect(await open.page.textContent('.split-note')).toContain(
      'was in frame 0x300, mapped by P 0x100000000000 and C 0x100000000000',
    );
    expect(await open.page.textContent('.story-text')).toContain('do_wp_page others hold references: copy');
    expect(await open.page.textContent('.page-changes')).toMatch(/P 0x100000000000.*frame 0x300.*frame 0x302/);
    await open.page.close();
  });

  test('a selection is one in all views: walk, entry, frame', async () => {
    const open = await opened('#cp=step-2');
    await open.page.click('[data-scene="after"] [data-key="C.0x100000001000"]');
    await settled(open.page);
    expect(await open.page.textContent('.steps')).toContain('PML4 C');
    expect(await open.page.textContent('.outcome')).toContain('0x301000');
    expect(await open.page.textContent('#frame-title')).toContain('0x301');
    expect(await open.page.textContent('.strip-owner')).toContain('anonymous pages of processes');
    await open.page.click('.walk-options >> text=write');
    await settled(open.page);
    expect(await open.page.textContent('.outcome')).toContain('error code 0x7');
    await open.page.close();
  });

  test('the keyboard goes from page to page, and b changes the moments shown', async () => {
    const open = await opened('#cp=step-2');
    await open.page.locator('[data-scene="after"] [data-key="P.0x100000000000"]').focus();
    await open.page.keyboard.press('ArrowRight');
    await settled(open.page);
    expect(await open.page.evaluate(() => location.hash)).toContain('va=0x100000001000');
    expect(await open.page.evaluate(() => (document.activeElement as HTMLElement | null)?.dataset['key'] ?? '')).toBe(
      'P.0x100000001000',
    );
    await open.page.keyboard.press('b');
    await settled(open.page);
    expect(await open.page.locator('[data-scene="after"]').isVisible()).toBe(false);
    await open.page.keyboard.press('b');
    await settled(open.page);
    expect(await open.page.locator('[data-scene="before"]').isVisible()).toBe(false);
    await open.page.close();
  });

  test('a link brings back step, process, page and view', async () => {
    const link = '#cp=step-2&root=C&va=0x100000001000&access=w&view=space&show=after';
    const open = await opened(link);
    expect(await open.page.evaluate(() => location.hash)).toBe(link);
    expect(await open.page.inputValue('#walk-root')).toBe('C');
    await open.page.close();
  });

  test('the script leads to each step', async () => {
    const open = await opened();
    await open.page.click('.script-line:has-text("P fork C")');
    await settled(open.page);
    expect(await open.page.getAttribute('.script-line:has-text("P fork C")', 'aria-current')).toBe('step');
    expect(await open.page.textContent('[data-scene="after"]')).toContain('Process C child of P');
    await open.page.close();
  });

  test('pages that are swapped out, PROT_NONE, large or of the zero page say so', async () => {
    const open = await opened('', writePage('every-kind', everyKindOfPage()));
    const said = await open.page
      .locator('[data-scene="after"] .cells .cell')
      .evaluateAll((cells) => cells.map((cell) => cell.querySelector('.visually-hidden')?.textContent ?? ''));
    expect(said.slice(0, 4)).toEqual([
      'P 0x100000000000: swapped out, slot 42',
      'P 0x100000001000: frame 0x345, anonymous, PROT_NONE: not present for the processor',
      'P 0x100000002000: frame 0x346, zero page, writable',
      'P 0x100000003000: nothing mapped',
    ]);
    expect(said[4]).toBe('P 0x100000200000: 2 MiB from frame 0x400, anonymous, writable');
    expect(await open.page.textContent('.inspector .facts')).toContain('a swap entry: area 0, slot 42');
    expect(open.troubles).toEqual([]);
    await open.page.close();
  });

  test.each([1920, 1280, 1024, 800])('%i pixels wide: no part covers another, nothing sticks out', async (width) => {
    const { page } = await openPage(browser, `${run}#cp=step-2`, { width });
    expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBeLessThanOrEqual(0);
    await page.close();
  });

  test.each([
    ['light', false],
    ['dark', true],
  ])('axe finds no serious problem: %s', async (_name, dark) => {
    const { page } = await openPage(browser, `${run}#cp=step-2`, { dark });
    expect(await seriousProblems(page)).toEqual([]);
    await page.close();
  });
});

describe.skipIf(!program)('pgsim run --html', () => {
  const written = (example: string, ...options: string[]): string =>
    pageOf(`run-${example}`, ['run', '--brief', `examples/processes/${example}.txt`, ...options]);

  test('copy on write: the frame is shared after the fork and split by the first write', async () => {
    const open = await opened('#cp=step-3&root=C&va=0x100000000000', written('copy-on-write'));
    const shared = await lit(open.page, 'after');
    expect(shared.slice(0, 2)).toEqual(['P.0x100000000000', 'C.0x100000000000']);
    await open.page.keyboard.press(']');
    await settled(open.page);
    expect(await lit(open.page, 'before')).toEqual(shared);
    expect(await lit(open.page, 'after')).toEqual(['C.0x100000000000', shared[2]]);
    expect(await open.page.textContent('.story-text')).toContain('wp_page_copy');
    expect(await open.page.textContent('.frame-panel')).toMatch(/mapcount1 \(was 2\)/);
    expect(open.troubles).toEqual([]);
    await open.page.close();
  });

  test('who wrote the entry is told with the function that the kernel was in', async () => {
    const open = await opened('#cp=step-4&va=0x100000000000', written('copy-on-write'));
    expect(await open.page.textContent('.inspector .facts')).toContain('wp_page_copy');
    await open.page.close();
  });

  test('a mapped file: its frames belong to the page cache', async () => {
    const open = await opened('#cp=step-4&va=0x100000000000', written('mapped-file'));
    expect(await open.page.textContent('.frame-panel')).toMatch(/file 0, page 0/);
    expect(open.troubles).toEqual([]);
    await open.page.close();
  });

  test('without its flush, fork lets a stale write through: the page warns', async () => {
    const open = await opened('#cp=step-4', written('stale-write', '--leave-out-flush', 'fork'));
    expect(await open.page.textContent('.step-outcome')).toMatch(/Stale write: C did not write.*TLB still translates/);
    await open.page.close();
  });

  test('thrashing: thousands of pages stay quick', async () => {
    const tight = ['--memory', '64', '--free', '6', '--swap', '64'];
    const open = await opened('#cp=step-4', written('working-set', ...tight));
    expect(await open.page.locator('[data-scene="after"] .cells .cell').count()).toBeLessThanOrEqual(256);
    const took = await open.page.evaluate(async () => {
      const start = performance.now();
      (document.querySelector('[data-scene="after"] [data-key="P.0x100000400000"]') as HTMLElement).click();
      await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
      return performance.now() - start;
    });
    expect(took).toBeLessThan(4000);
    expect(open.troubles).toEqual([]);
    await open.page.close();
  });
});
