// SPDX-License-Identifier: GPL-2.0-only
// The pictures in docs/images, from pages that pgsim wrote: of a boot, and of examples/processes/copy-on-write.txt
// node e2e/pictures.mjs BOOT.html RUN.html OUTPUT_DIRECTORY
import { pathToFileURL } from 'node:url';
import { chromium } from 'playwright-core';

const [boot, run, out] = process.argv.slice(2);
if (!boot || !run || !out) throw new Error('usage: node e2e/pictures.mjs BOOT.html RUN.html OUTPUT_DIRECTORY');

const PICTURES = [
  {
    name: 'explorer-space',
    scheme: 'light',
    fragment: 'cp=init_mem_mapping.exit&vs=init_mem_mapping.entry&va=0xffff888000200000',
    height: 860,
  },
  {
    name: 'explorer-board',
    scheme: 'light',
    fragment: 'cp=startup_64_fixups.exit&va=0xffffffff81000000&view=board',
    height: 860,
  },
  {
    name: 'explorer-writes',
    scheme: 'dark',
    fragment: 'cp=init_mem_mapping.exit&va=0xffff888000200000&view=writes',
    height: 860,
  },
  { name: 'explorer-vmemmap', scheme: 'dark', fragment: 'cp=sparse_init.exit&va=0xffffea0000000000', height: 860 },
  {
    name: 'explorer-entry',
    scheme: 'light',
    fragment: 'cp=init_mem_mapping.exit&va=0xffffffff81000000&access=wu',
    height: 1500,
    clip: '.right',
  },
  {
    name: 'explorer-processes',
    scheme: 'light',
    page: run,
    fragment: 'cp=step-4&root=P&va=0x100000000000',
    height: 1020,
  },
];

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: [
    '--headless',
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
  ],
});
for (const { name, scheme, page = boot, fragment, height, clip } of PICTURES) {
  const view = await browser.newPage({ viewport: { width: 1440, height }, colorScheme: scheme });
  await view.goto(`${pathToFileURL(page).href}#${fragment}`);
  await view.waitForSelector('.stop[aria-checked="true"]');
  await view.waitForTimeout(300);
  const target = clip ? view.locator(clip) : view;
  await target.screenshot({ path: `${out}/${name}.png` });
  await view.close();
}
await browser.close();
