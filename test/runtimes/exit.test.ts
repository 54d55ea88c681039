/**
 * Tests that a server at a locked address neither keeps its process nor leaves its socket, on each runtime.
 */
import {readdirSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {testUnless} from '../helpers/abilities.js';
import {runToEnd} from '../helpers/command.js';
import {indexUrl} from '../helpers/library.js';
import {temporaryDirectory} from '../helpers/programs.js';
import {runtimes} from '../helpers/runtimes.js';

const endings: Readonly<Record<string, {readonly code: string; readonly status: number}>> = {
	'the end of its work': {code: 'server.unref(); lock.lostSignal;', status: 0},
	'process.exit()': {code: 'process.exit(0);', status: 0},
};

for (const {title, obstacle, options} of runtimes) {
	for (const [ending, {code, status}] of Object.entries(endings)) {
		testUnless(obstacle)(`${title}: after ${ending} only the lock file is left`, async t => {
			const directory = temporaryDirectory(t);
			for (const module of ['net', 'http']) {
				const script = join(temporaryDirectory(t), 'program.mjs');
				writeFileSync(
					script,
					`import {listen} from ${JSON.stringify(indexUrl)};
					import {createServer} from 'node:${module}';
					const server = createServer();
					const lock = await listen(server, process.argv[2]);
					${code}`,
				);
				const {executable, nodeOptions} = options;
				const outcome = await runToEnd(executable, [...nodeOptions, script, join(directory, module)], {
					env: {BINDLOCK_FLOCK: ''},
				});
				t.like(outcome, {status, stderr: ''}, module);
			}
			t.deepEqual(readdirSync(directory).sort(), ['http.lock', 'net.lock']);
		});
	}
}
