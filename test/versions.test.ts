/**
 * Node 20 pads abstract names and later versions do not: the same address in JavaScript is two to
 * the kernel. All versions must exclude each other all the same.
 */

import {once} from 'node:events';
import {createServer} from 'node:net';
import {join} from 'node:path';
import test from 'ava';
import {inspect} from '../src/index.js';
import {testUnless} from './helpers/abilities.js';
import {nodeOf, noNode, otherVersions} from './helpers/node-versions.js';
import {start, temporaryDirectory} from './helpers/programs.js';

const thisNode = Number(process.versions.node.split('.')[0]);

for (const version of otherVersions) {
	const only = testUnless(noNode(version));
	for (const kind of ['abstract', 'pathname'] as const) {
		only(`${kind}: a server of Node ${version} and one of Node ${thisNode} refuse each other`, async t => {
			const path = join(temporaryDirectory(t), 's');
			const address = kind === 'pathname' ? path : `unix:@${path}`;
			const other = {executable: nodeOf(version)};
			for (const [first, second] of [
				[other, {}],
				[{}, other],
			]) {
				const holder = start(t, 'holder', ['listen', address], first);
				await holder.expect('held');
				const refused = await start(t, 'holder', ['listen', address], second).expect('refused');
				t.is(refused['code'], 'EADDRINUSE');
				t.like(refused['holder'], {pid: holder.pid, verifiedBy: 'kernel'});
				await holder.kill();
				const successor = start(t, 'holder', ['listen', address], second);
				await successor.expect('held');
				await successor.kill();
			}
		});
	}

	only(
		`a plain abstract server of Node ${version}, in its own spelling, is foreign to Node ${thisNode}, and the reverse`,
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

	only(
		`what the lock is for: without it, Node ${version} and Node 20 both listen on one abstract name (R12)`,
		async t => {
			const name = join(temporaryDirectory(t), 's');
			const first = start(t, 'plain', [name], {executable: nodeOf(version)});
			await first.expect('listening');
			if (thisNode === 20) {
				const server = createServer().listen(`\0${name}`);
				await once(server, 'listening');
				t.true(server.listening);
				server.close();
			} else t.pass('this Node spells as that one does');
		},
	);
}

test('this Node has a version that the tests know', t => {
	t.true([20, ...otherVersions].includes(thisNode));
});
