/**
 * Tests mutual exclusion between versions of Node. Node 20 pads abstract names and later versions do
 * not, so the kernel sees two names for one address.
 */

import {once} from 'node:events';
import {mkdirSync, symlinkSync, writeFileSync} from 'node:fs';
import {createServer} from 'node:net';
import {join} from 'node:path';
import test from 'ava';
import {inspect} from '../../src/index.js';
import {testUnless} from '../helpers/abilities.js';
import {flockHolders, listeners, makeStale, reach} from '../helpers/detectors.js';
import {indexUrl} from '../helpers/library.js';
import {nodeOf, noNode, otherVersions, pairs, thisNode, versions} from '../helpers/node-versions.js';
import {start, startCommand, temporaryDirectory} from '../helpers/programs.js';

for (const [one, other] of pairs) {
	const only = testUnless(noNode(one), noNode(other));
	for (const kind of ['abstract', 'pathname'] as const) {
		only(`${kind}: a server of Node ${one} and one of Node ${other} refuse each other`, async t => {
			const path = join(temporaryDirectory(t), 's');
			const address = kind === 'pathname' ? path : `unix:@${path}`;
			for (const [first, second] of [
				[one, other],
				[other, one],
			] as const) {
				const holder = start(t, 'holder', ['listen', address], {executable: nodeOf(first)});
				await holder.expect('held');
				const newcomer = start(t, 'holder', ['listen', address], {executable: nodeOf(second)});
				const refused = await newcomer.expect('refused');
				t.is(refused['code'], 'EADDRINUSE');
				t.like(refused['holder'], {pid: holder.pid, verified: true});
				await holder.kill();
				newcomer.send('again');
				t.like(await newcomer.expect('held'), {reclaimed: kind === 'pathname'});
				await newcomer.kill();
			}
		});
	}
}

testUnless(...versions.map(noNode))(
	'servers of all versions start together on a stale socket: one serves, and the others are refused',
	async t => {
		for (let round = 0; round < 3; round++) {
			const path = join(temporaryDirectory(t), 's');
			await makeStale(path);
			const servers = versions.map(version =>
				start(t, 'holder', ['listen', path, '{"heal": false}'], {executable: nodeOf(version)}),
			);
			const said = await Promise.all(servers.map(server => server.next()));
			const [winner, ...more] = servers.filter((_, index) => said[index]?.event === 'held');
			t.deepEqual(more, []);
			t.deepEqual(
				flockHolders(
					`${path}.lock`,
					servers.map(({pid}) => pid),
				),
				[winner?.pid],
			);
			t.is(await reach(path), winner?.pid ?? -1);
			for (const {event, code} of said) if (event !== 'held') t.is(code, 'EADDRINUSE');
			await Promise.all(servers.map(server => server.kill()));
		}
	},
);

for (const version of otherVersions) {
	const only = testUnless(noNode(version));
	only(
		`a plain abstract server of Node ${version}, in its own spelling, is foreign to Node ${thisNode}, and vice versa`,
		async t => {
			const name = join(temporaryDirectory(t), 's');
			const foreign = start(t, 'plain', [name], {executable: nodeOf(version)});
			await foreign.expect('listening');
			t.like(await inspect(`\0${name}`), {state: 'foreign', holder: {pid: foreign.pid}});
			const refused = await start(t, 'holder', ['listen', `unix:@${name}`]).expect('refused');
			t.like(refused, {code: 'EADDRINUSE', holder: {pid: foreign.pid}});
			await foreign.kill();

			const server = createServer().listen(`\0${name}`);
			await once(server, 'listening');
			const other = await start(t, 'holder', ['listen', `unix:@${name}`], {executable: nodeOf(version)}).expect(
				'refused',
			);
			t.like(other, {code: 'EADDRINUSE', holder: {pid: process.pid}});
			server.close();
		},
	);
}

testUnless(noNode(20), noNode(22))(
	'R12: without the lock, Node 20 and a later version both listen on one abstract name',
	async t => {
		const name = join(temporaryDirectory(t), 's');
		for (const version of [20, 22]) {
			await start(t, 'plain', [name], {executable: nodeOf(version)}).expect('listening');
		}
		t.is(listeners(`\0${name}`), 2);
	},
);

test('the tests cover this version of Node', t => {
	t.true((versions as readonly number[]).includes(thisNode));
});

for (const version of versions) {
	testUnless(noNode(version))(`Node ${version}: after listen, a symlinked package is still loaded`, async t => {
		const directory = temporaryDirectory(t);
		const real = join(directory, 'real/linked');
		mkdirSync(real, {recursive: true});
		writeFileSync(join(real, 'package.json'), '{"name": "linked", "main": "index.js"}');
		writeFileSync(join(real, 'index.js'), 'module.exports = () => {};');
		mkdirSync(join(directory, 'node_modules'));
		symlinkSync('../real/linked', join(directory, 'node_modules/linked'));
		const text = `
				import {createServer} from 'node:net';
				import {listen} from ${JSON.stringify(indexUrl)};
				const lock = await listen(createServer(), 's');
				const {default: linked} = await import('linked');
				console.log(typeof linked);
				await lock.release();
			`;
		writeFileSync(join(directory, 'main.mjs'), text);
		const program = startCommand(t, nodeOf(version), ['main.mjs'], {cwd: directory});
		t.is((await program.expect('line'))['line'], 'function');
	});
}
