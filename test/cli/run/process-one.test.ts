/**
 * Tests `bindlock run` and `bindlock wait` as process 1 of a pid namespace, as in a container without an init.
 */
import {constants} from 'node:os';
import {join} from 'node:path';
import type {ExecutionContext} from 'ava';
import {noPidNamespaces, testUnless} from '../../helpers/abilities.js';
import {cli} from '../../helpers/command.js';
import {until, withDeadline} from '../../helpers/deadlines.js';
import {descendants} from '../../helpers/processes.js';
import {type Program, start, startCommand, temporaryDirectory} from '../../helpers/programs.js';

/** Starts bindlock as process 1. The signals of the test go to it, not to unshare(1). */
function startAsProcessOne(t: ExecutionContext, args: readonly string[]): Program {
	return startCommand(t, 'unshare', [
		'--pid',
		'--fork',
		'--kill-child',
		'--mount-proc',
		process.execPath,
		cli,
		...args,
	]);
}

async function processOne(program: Program): Promise<number> {
	await until(() => descendants(program.pid).length > 0, 'process 1');
	return descendants(program.pid)[0] as number;
}

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
	testUnless(noPidNamespaces())(`${signal} ends a wait of run and of wait at once, with 128+n`, async t => {
		const address = join(temporaryDirectory(t), 's');
		const holder = start(t, 'holder', ['listen', address]);
		await holder.expect('held');
		for (const args of [
			['run', address, '--wait', '--', 'true'],
			['wait', address, '--for', 'free'],
		]) {
			const program = startAsProcessOne(t, args);
			const pid = await processOne(program);
			if (args[0] === 'run') await until(() => program.stderr.includes('waiting for'), 'the wait');
			// `wait` prints nothing, so the signal is repeated until its handler is installed.
			const timer = setInterval(() => {
				try {
					process.kill(pid, signal);
				} catch {}
			}, 20);
			const {code} = await withDeadline(program.exited);
			clearInterval(timer);
			t.is(code, 128 + constants.signals[signal], args[0]);
		}
	});
}

testUnless(noPidNamespaces())('a command that is killed by a signal: 128+n', async t => {
	const address = join(temporaryDirectory(t), 's');
	const program = startAsProcessOne(t, ['run', address, '--', 'sh', '-c', 'echo up; exec sleep 300']);
	await program.expect('line');
	process.kill(await processOne(program), 'SIGTERM');
	t.is((await withDeadline(program.exited)).code, 143);
});
