/**
 * Tests the manual page.
 */
import {readFileSync} from 'node:fs';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import test from 'ava';
import {manualPage} from '../../src/cli/man.js';
import {lacking, testUnless} from '../helpers/abilities.js';
import {runToEnd} from '../helpers/command.js';

const root = fileURLToPath(new URL('../../../', import.meta.url));

test('the manual page is up to date', async t => {
	const page = readFileSync(join(root, 'docs/bindlock.1'), 'utf8');
	const {version} = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {version: string};
	t.is(
		page,
		manualPage(version),
		'docs/bindlock.1 is out of date: run `node build/src/cli/main.js man > docs/bindlock.1`',
	);
});

testUnless(lacking('groff'))('the markup of the manual page is valid', async t => {
	const {status, stderr} = await runToEnd('groff', ['-man', '-Tutf8', '-ww', '-z', join(root, 'docs/bindlock.1')]);
	t.deepEqual([status, stderr], [0, '']);
});
