// SPDX-License-Identifier: GPL-2.0-only
import { defineConfig, type Plugin } from 'vite';

/** Puts the one script and the one style sheet into the HTML file, so that it works from file:// and offline. */
function singleFile(): Plugin {
  return {
    name: 'pgsim-single-file',
    enforce: 'post',
    generateBundle(_options, bundle) {
      const html = bundle['index.html'];
      if (html?.type !== 'asset') throw new Error('index.html is missing from the bundle');
      let text = String(html.source);
      for (const [name, item] of Object.entries(bundle)) {
        if (item === html) continue;
        const tag =
          item.type === 'chunk'
            ? `<script[^>]*src="[^"]*${name}"[^>]*></script>`
            : `<link[^>]*href="[^"]*${name}"[^>]*>`;
        const match = new RegExp(tag).exec(text);
        if (!match) throw new Error(`${name} is not referenced by index.html; the page would not be self-contained`);
        const inline =
          item.type === 'chunk'
            ? `<script type="module">${item.code.replace(/<\/script/g, '<\\/script')}</script>`
            : `<style>${String(item.source)}</style>`;
        text = text.slice(0, match.index) + inline + text.slice(match.index + match[0].length);
        delete bundle[name];
      }
      html.source = text;
    },
  };
}

export default defineConfig({
  base: './',
  plugins: [singleFile()],
  esbuild: { charset: 'ascii', legalComments: 'none' },
  build: {
    target: 'es2022',
    modulePreload: false,
    cssCodeSplit: false,
    assetsInlineLimit: 1 << 20,
    reportCompressedSize: false,
  },
});
