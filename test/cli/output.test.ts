/**
 * Tests standard output: write errors and colours.
 */
import {join} from 'node:path';
import test from 'ava';
import {lacking, testUnless} from '../helpers/abilities.js';
import {bindlock, cli, runToEnd} from '../helpers/command.js';
import {temporaryDirectory} from '../helpers/programs.js';

test('a closed pipe ends the command as SIGPIPE does; a full disk exits with 71 and a message', async t => {
	const broken = await runToEnd('bash', ['-o', 'pipefail', '-c', '"$0" "$1" man | true', process.execPath, cli]);
	t.true([0, 141].includes(broken.status ?? -1), String(broken.status));
	t.is(broken.stderr, '');
	const full = await runToEnd('sh', ['-c', '"$0" "$1" man >/dev/full', process.execPath, cli]);
	t.is(full.status, 71);
	t.regex(full.stderr, /^bindlock: cannot write to standard output: /);
});

test('colours only on a terminal', async t => {
	const {stdout} = await bindlock(['status', join(temporaryDirectory(t), 's')]);
	t.false(stdout.includes('\u001B'));
});

testUnless(lacking('script'))('colours on a terminal, but not with NO_COLOR', async t => {
	const address = join(temporaryDirectory(t), 's');
	const command = `${process.execPath} ${cli} status ${address}`;
	const env = {TERM: 'xterm', NO_COLOR: ''};
	t.true((await runToEnd('script', ['-qec', command, '/dev/null'], {env})).stdout.startsWith('\u001B[32mfree'));
	const plain = await runToEnd('script', ['-qec', command, '/dev/null'], {env: {...env, NO_COLOR: '1'}});
	t.regex(plain.stdout, /^free/);
});
