/**
 * Writes the licences of the packages that are bundled into the published files.
 */
import {readdirSync, readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {argv} from 'node:process';
import {fileURLToPath} from 'node:url';

const bundled = ['commander', 'proper-lockfile', 'graceful-fs', 'retry', 'proper-lockfile/node_modules/signal-exit'];

const modules = fileURLToPath(new URL('../node_modules', import.meta.url));
const texts = bundled.map(name => {
	const file = readdirSync(join(modules, name)).find(entry => /^licen[cs]e/i.test(entry));
	return `${name.split('/').at(-1)}\n\n${readFileSync(join(modules, name, file), 'utf8').trim()}\n`;
});
writeFileSync(argv[2], texts.join('\n---\n\n'));
