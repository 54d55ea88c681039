/**
 * Tests the permissions that Deno needs, as documented: all of them suffice, and without one of them the error names it.
 */
import {join} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {noFlockCommand, testUnless} from '../helpers/abilities.js';
import {makeStale} from '../helpers/detectors.js';
import {type Event, start, temporaryDirectory} from '../helpers/programs.js';
import {readText, root} from '../helpers/repository.js';
import {deno} from '../helpers/runtimes.js';
import {treeOf} from '../helpers/tree.js';

/** Of a server in the directory. Deno reads the program and its packages in any case. */
const permissionsIn = (directory: string): readonly string[] => [
	`--allow-read=${directory},${root}`,
	`--allow-write=${directory}`,
	'--allow-net',
	'--allow-sys=hostname,uid,statfs',
	'--allow-ffi',
];

/** Starts a server at a stale socket, and returns its first event. */
async function serve(t: ExecutionContext, directory: string, permissions: readonly string[]): Promise<Event> {
	const options = {
		...deno.options,
		nodeOptions: ['run', '--quiet', '--no-prompt', ...permissions],
		env: {BINDLOCK_FLOCK: ''},
	};
	return start(t, 'holder', ['listen', join(directory, 's')], options).next();
}

const only = testUnless(deno.obstacle);

only('the documented permissions suffice to take over, listen and name a holder', async t => {
	const directory = temporaryDirectory(t);
	await makeStale(join(directory, 's'));
	t.like(await serve(t, directory, permissionsIn(directory)), {event: 'held', reclaimed: true});
	const refused = await serve(t, directory, permissionsIn(directory));
	t.like(refused, {code: 'EADDRINUSE', holder: {verified: false}});
});

const without: Readonly<Record<string, {readonly code: string; readonly says: RegExp}>> = {
	'--allow-read': {code: 'ERR_ACCESS_DENIED', says: /Requires read access to .* --allow-read/},
	'--allow-write': {code: 'ERR_ACCESS_DENIED', says: /Requires write access to .* --allow-write/},
	'--allow-net': {code: 'ERR_ACCESS_DENIED', says: /Requires net access to .* --allow-net/},
	'--allow-sys': {code: 'ERR_ACCESS_DENIED', says: /Requires sys access to .* --allow-sys/},
	'--allow-ffi': {code: 'ERR_FLOCK_UNAVAILABLE', says: /Deno\.dlopen: needs the permission --allow-ffi/},
};

for (const [flag, {code, says}] of Object.entries(without)) {
	only(`without ${flag}: ${code} names it, and nothing is changed`, async t => {
		const directory = temporaryDirectory(t);
		await makeStale(join(directory, 's'));
		// The directory itself has another time: a lock file may have been created and removed.
		const files = (): unknown[] => treeOf(directory).filter(({name}) => name !== '');
		const before = files();
		// The program itself can be read.
		const permissions = permissionsIn(directory).map(permission =>
			permission.startsWith(flag) ? `--allow-read=${root}` : permission,
		);
		const refused = await serve(t, directory, permissions);
		t.like(refused, {event: 'refused', code, ours: true});
		t.regex(String(refused['message']), says);
		t.deepEqual(files(), before);
	});
}

testUnless(deno.obstacle, noFlockCommand())(
	'flock(1) replaces --allow-ffi; without --allow-run the error names it',
	async t => {
		const directory = temporaryDirectory(t);
		const permissions = ['--allow-read', `--allow-write=${directory}`, '--allow-net', '--allow-sys', '--allow-env'];
		const refused = await serve(t, directory, permissions);
		t.like(refused, {event: 'refused', code: 'ERR_ACCESS_DENIED'});
		t.regex(String(refused['message']), /--allow-run/);
		t.like(await serve(t, directory, [...permissions, '--allow-run']), {event: 'held'});
	},
);

test('the documentation has these permissions', t => {
	for (const permission of permissionsIn('/run/app')) {
		const [name = ''] = permission.split(`,${root}`);
		t.true(readText('docs/runtimes.md').includes(name), name);
	}
});
