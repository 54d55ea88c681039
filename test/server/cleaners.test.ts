/**
 * Tests a server whose files systemd-tmpfiles cleans by age, as docs/systemd.md describes it.
 */
import {execFileSync} from 'node:child_process';
import {existsSync, mkdirSync, writeFileSync} from 'node:fs';
import {createServer} from 'node:net';
import {join} from 'node:path';
import {acquire, listen} from '../../src/index.js';
import {lacking, testUnless} from '../helpers/abilities.js';
import {until} from '../helpers/deadlines.js';
import {notRoot, temporaryDirectory} from '../helpers/programs.js';

testUnless(notRoot, lacking('systemd-tmpfiles'))(
	'systemd-tmpfiles skips a live socket and removes its held lock file, which is locked again; with x lines it skips both',
	async t => {
		const directory = temporaryDirectory(t);
		const area = join(directory, 'area');
		mkdirSync(area, 0o755);
		const address = join(area, 's');
		const lock = await listen(createServer(), address);
		t.teardown(() => lock.release());
		// Files are old after a second.
		const rule = `d ${area} 0755 root root 1s\n`;
		const clean = (rules: string): void => {
			writeFileSync(join(directory, 'rules.conf'), rules);
			execFileSync('systemd-tmpfiles', ['--clean', join(directory, 'rules.conf')]);
		};
		const old = join(area, 'old');
		writeFileSync(old, '');
		// What is cleaned shows that the files have the age.
		await until(() => {
			clean(`${rule}x ${address}\nx ${address}.lock\n`);
			return !existsSync(old);
		}, 'the age of the files');
		t.true(existsSync(address) && existsSync(`${address}.lock`));
		t.is(lock.healed, 0);
		clean(rule);
		await until(() => lock.healed === 1, 'healing');
		t.true(existsSync(address) && lock.held);
		await t.throwsAsync(acquire(address), {code: 'EADDRINUSE'});
	},
);
