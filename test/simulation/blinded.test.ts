/**
 * Tests assumptions of the simulation about `src/kernel/` that generated scripts cannot reach.
 */
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import test from 'ava';
import {startCommand, temporaryDirectory} from '../helpers/programs.js';

const linuxOnly = process.platform === 'linux' ? test : test.skip;

linuxOnly('without a free descriptor, a bound server that does not listen yet does not pass for dead', async t => {
	const script = fileURLToPath(new URL('../fixtures/blinded.js', import.meta.url));
	const address = join(temporaryDirectory(t), 's');
	const program = startCommand(t, '/bin/sh', [
		'-c',
		'ulimit -n 64; exec "$@"',
		'sh',
		process.execPath,
		script,
		address,
	]);
	const {before, starved} = await program.expect('asked');
	t.is(before, 'somebody');
	t.not(starved, 'nobody');
});
