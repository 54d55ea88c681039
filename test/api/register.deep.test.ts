/**
 * Tests that `bindlock/register` changes nothing that a program sees of its server.
 */
import test from 'ava';
import {registerUrl} from '../helpers/library.js';
import {transcribe} from '../helpers/transcripts.js';

const alike = [
	'a path',
	'options',
	'a path and backlog',
	'close before listening',
	'again after close',
	'twice',
	'two servers of one process',
	'a signal',
	'an aborted signal',
	'unref',
	'unref before',
	'ports',
	'nothing to listen on',
	'an abstract name',
	'async context',
	'exclusive',
];

for (const scenario of alike) {
	test(`same transcript with register and without: ${scenario}`, async t => {
		const [without, with_] = await Promise.all([
			transcribe(t, scenario),
			transcribe(t, scenario, '--import', registerUrl),
		]);
		t.is(with_, without);
		t.regex(without, /^exit 0$/m);
	});
}

for (const scenario of ['no directory', 'an error without a handler']) {
	test(`same transcript with register and without, except for the code: ${scenario}`, async t => {
		const [without, with_] = await Promise.all([
			transcribe(t, scenario),
			transcribe(t, scenario, '--import', registerUrl),
		]);
		// If the directory does not exist, libuv reports EACCES "for compatibility with Windows".
		t.is(with_.replace('ENOENT -2 open', 'EACCES -13 listen').replace('uncaught ENOENT', 'uncaught EACCES'), without);
	});
}
