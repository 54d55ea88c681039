/**
 * Tests the open file descriptors of processes.
 */
import {execFileSync} from 'node:child_process';
import {closeSync, openSync} from 'node:fs';
import {join} from 'node:path';
import test from 'ava';
import {descriptorsOf} from '../../../src/kernel/proc/process-descriptors.js';
import {allProcesses, processOf} from '../../../src/kernel/proc/processes.js';
import {checkLeaks} from '../../helpers/leaks.js';
import {temporaryDirectory} from '../../helpers/programs.js';

checkLeaks();

test.serial('descriptors of a process, by the file that they refer to', t => {
	const path = join(temporaryDirectory(t), 'file');
	const descriptor = openSync(path, 'w');
	const found = {...processOf(process.pid), fd: descriptor, target: path};
	t.deepEqual([...descriptorsOf([process.pid], target => target === path)], [found]);
	t.deepEqual([...descriptorsOf(allProcesses(), target => target === path)], [found]);
	closeSync(descriptor);
	t.deepEqual([...descriptorsOf([process.pid], target => target === path)], []);
});

test.serial('a quarter of the descriptor limit', t => {
	const module = new URL('../../../src/kernel/proc/process-descriptors.js', import.meta.url);
	const script = `import {quarterOfDescriptors} from ${JSON.stringify(module)}; console.log(quarterOfDescriptors());`;
	const args = ['-c', 'ulimit -n 102 && exec "$@"', 'sh', process.execPath, '--input-type=module', '-e', script];
	t.is(execFileSync('sh', args, {encoding: 'utf8'}), '26\n');
});
