/**
 * Tests the shell completions.
 */
import test from 'ava';
import {lacking, testUnless} from '../helpers/abilities.js';
import {bindlock, runToEnd} from '../helpers/command.js';

test('completions', async t => {
	const bash = (await bindlock(['completion', 'bash'])).stdout;
	const complete = async (...words: string[]): Promise<string[]> => {
		const script = `${bash}\nCOMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _bindlock; printf '%s\\n' "\${COMPREPLY[@]}"`;
		return (await runToEnd('bash', ['-c', script, '-', ...words])).stdout.trim().split('\n');
	};
	t.deepEqual(await complete('bindlock', 'sta'), ['status']);
	t.deepEqual(await complete('bindlock', 'wait', '--for', 'li'), ['listening']);
	t.deepEqual(await complete('bindlock', 'run', '--lab'), ['--label']);
	t.deepEqual(await complete('bindlock', 'completion', 'z'), ['zsh']);
	t.is((await bindlock(['completion', 'tcsh'])).status, 64);
});

for (const shell of ['zsh', 'fish']) {
	testUnless(lacking(shell))(`${shell} can read its completions`, async t => {
		const {stdout} = await bindlock(['completion', shell]);
		t.is((await runToEnd(shell, ['-n', '-c', stdout])).status, 0);
	});
}
