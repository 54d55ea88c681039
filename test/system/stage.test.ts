/**
 * A machine to rehearse on, asked to do to real files what it must not do.
 */
import {lstatSync, readdirSync, readFileSync} from 'node:fs';
import {join} from 'node:path';
import test from 'ava';
import {take} from '../../src/protocol/pathname.js';
import {granted} from '../../src/protocol/refusals.js';
import {run} from '../../src/system/node.js';
import {Stage} from '../../src/system/stage.js';
import {makeStale} from '../helpers/detectors.js';
import {checkLeaks, countDescriptors} from '../helpers/leaks.js';
import {temporaryDirectory, until} from '../helpers/programs.js';
import {claim, pathname} from '../helpers/protocol.js';

checkLeaks();

test.serial('a take that waits and reclaims succeeds there, and nothing has changed', async t => {
	const directory = temporaryDirectory(t);
	const address = join(directory, 's');
	await makeStale(address);
	const state = (): object[] =>
		readdirSync(directory).map(name => ({name, ...lstatSync(join(directory, name), {bigint: true})}));
	const before = state();
	const root = lstatSync('/', {bigint: true});
	const descriptors = countDescriptors();
	let waits = 0;
	const patience = {began: performance.now(), waitMs: 1000, onWait: () => void waits++, replace: undefined};
	const stage = new Stage(true, new AbortController().signal);
	const {lock} = granted(await run(take(pathname(address), {...claim, patience}), stage));
	t.is(waits, 1);
	// The shell of the queue is ended a moment later.
	await until(() => countDescriptors() === descriptors + 1, 'the end of what was queued with');
	stage.close(lock.descriptor);
	t.deepEqual(state(), before);
	t.is(lstatSync('/', {bigint: true}).ctimeNs, root.ctimeNs);
	t.is(readFileSync('/dev/null', 'utf8'), '');
});
