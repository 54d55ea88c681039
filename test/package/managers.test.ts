/**
 * Tests the packed package with the installers that people use: each must succeed without an approval, a warning about
 * bindlock itself, or a compiler.
 */
import {existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import test from 'ava';
import {noFlockCommand, testUnless} from '../helpers/abilities.js';
import {runToEnd} from '../helpers/command.js';
import {atLoad} from '../helpers/deadlines.js';
import {root} from '../helpers/repository.js';
import {bun} from '../helpers/runtimes.js';

const managers: string = fileURLToPath(new URL('../../managers/node_modules', import.meta.url));
const node = process.execPath;

interface Manager {
	/** The file that must exist. */
	readonly file: string;
	readonly add: readonly string[];
	/** How a program of the project is run. */
	readonly run: readonly string[];
}

const byManager: Readonly<Record<string, Manager>> = {
	'npm 12': manager('npm12/bin/npm-cli.js', ['install', '--no-audit', '--no-fund'], [node]),
	'pnpm 10': manager('pnpm10/bin/pnpm.cjs', ['add'], [node]),
	'pnpm 12': manager('pnpm12/bin/pnpm.mjs', ['add'], [node]),
	// Plug'n'Play: there is no node_modules.
	'yarn 4': manager('yarn4/bin/yarn.js', ['add'], [node, join(managers, 'yarn4/bin/yarn.js'), 'node']),
	bun: {file: bun.options.executable, add: [bun.options.executable, 'add'], run: [bun.options.executable]},
};

function manager(path: string, add: readonly string[], run: readonly string[]): Manager {
	const file = join(managers, path);
	return {file, add: [node, file, ...add], run};
}

const directory: string = mkdtempSync(join(tmpdir(), 'bindlock-managers-'));
let tarball = '';

test.serial.before('pack the package', async t => {
	t.timeout(atLoad(120_000));
	await runToEnd('npm', ['pack', '--silent', '--pack-destination', directory], {cwd: root, deadlineMs: 110_000});
	tarball = join(directory, readdirSync(directory).find(name => name.endsWith('.tgz')) ?? '');
});

test.after.always('remove the projects', () => rmSync(directory, {recursive: true, force: true}));

const program = `
import {acquire} from 'bindlock';
const lock = await acquire('s');
console.log((await acquire('s').catch(error => error)).code);
await lock.release();
`;

for (const [title, {file, add, run}] of Object.entries(byManager)) {
	const obstacle = existsSync(file) ? undefined : `needs ${title}; npm run managers and npm run runtimes install it`;
	testUnless(obstacle, noFlockCommand())(`${title}: installs it, and it works`, async t => {
		t.timeout(atLoad(120_000));
		const project = join(directory, title.replace(' ', ''));
		mkdirSync(project);
		writeFileSync(
			join(project, 'package.json'),
			'{"private": true, "name": "x", "version": "1.0.0", "type": "module"}',
		);
		writeFileSync(join(project, 'use.js'), program);
		// Without it, yarn would look for a project above.
		writeFileSync(join(project, 'yarn.lock'), '');
		const registry = (await runToEnd('npm', ['config', 'get', 'registry'])).stdout.trim();
		const env = {
			BINDLOCK_FLOCK: '',
			YARN_NPM_REGISTRY_SERVER: registry,
			YARN_ENABLE_GLOBAL_CACHE: 'false',
			YARN_ENABLE_TELEMETRY: '0',
			YARN_ENABLE_IMMUTABLE_INSTALLS: 'false',
		};
		const [installer = '', ...addArguments] = add;
		const what = title === 'yarn 4' ? `bindlock@file:${tarball}` : tarball;
		const options = {cwd: project, env, deadlineMs: 110_000};
		const installed = await runToEnd(installer, [...addArguments, what], options);
		t.is(installed.status, 0, `${installed.stdout}${installed.stderr}`);
		t.notRegex(`${installed.stdout}${installed.stderr}`, /fs-ext|EBADENGINE|[Ii]gnored build|[Bb]locked/);
		const [runner = '', ...runArguments] = run;
		const {stdout, stderr} = await runToEnd(runner, [...runArguments, 'use.js'], options);
		t.is(stdout, 'EADDRINUSE\n', stderr);
	});
}
