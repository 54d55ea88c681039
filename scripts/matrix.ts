/**
 * `npm run test:matrix [-- VERSION... [-- AVA-ARGUMENT...]]`: runs the whole suite on each supported version of Node,
 * with the registry's binaries. Each version has its own project folder in build/matrix, because the addon fs-ext must
 * be compiled for it.
 */
import {type SpawnOptions, type SpawnSyncReturns, spawnSync} from 'node:child_process';
import {cpSync, existsSync, mkdirSync, readdirSync, rmSync, symlinkSync} from 'node:fs';
import {join, resolve} from 'node:path';
import {fileURLToPath} from 'node:url';

const root = fileURLToPath(new URL('../../', import.meta.url));
const versions = [20, 22, 24, 26];

interface Outcome {
	readonly version: number;
	readonly exact: string;
	readonly flock: 'addon' | 'command';
	readonly good: boolean;
	readonly counts: string;
}

const [chosen, avaArguments] = parse(process.argv.slice(2));
const outcomes = chosen.map(testOn);
console.log('\nThe matrix:');
for (const {exact, flock, good, counts} of outcomes) {
	console.log(`${good ? 'ok    ' : 'not ok'} Node ${exact}, flock by the ${flock}: ${counts}`);
}
process.exitCode = outcomes.every(({good}) => good) ? 0 : 1;

function parse(given: readonly string[]): [number[], string[]] {
	const end = given.indexOf('--');
	const [numbers, rest] = end < 0 ? [given, []] : [given.slice(0, end), given.slice(end + 1)];
	for (const number of numbers) {
		if (!versions.includes(Number(number)))
			throw new Error(`There is no Node ${number} here, but ${versions.join(', ')}`);
	}
	return [numbers.length === 0 ? versions : numbers.map(Number), [...rest]];
}

function testOn(version: number): Outcome {
	const folder = join(root, 'build/matrix', String(version));
	const home = join(root, 'build/nodes/node_modules', `node${version}`);
	const node = join(home, 'bin/node');
	if (!existsSync(node)) throw new Error(`Node ${version} is not in ${home}; npm run nodes installs it`);
	makeProject(folder);
	const flock = compileAddon(folder, home) ? 'addon' : 'command';
	const exact = capture(node, ['--version']).stdout.trim();
	console.log(`\n== Node ${exact}, flock by the ${flock}`);
	const ava = join(root, 'node_modules/ava/entrypoints/cli.mjs');
	const {status, stdout} = spawnSync(node, [ava, '--tap', ...avaArguments], {
		cwd: folder,
		encoding: 'utf8',
		stdio: ['ignore', 'pipe', 'inherit'],
		maxBuffer: 2 ** 28,
		env: {
			...process.env,
			PATH: `${join(home, 'bin')}:${process.env['PATH']}`,
			npm_config_nodedir: home,
			// Not "addon": worker threads need the command.
			BINDLOCK_FLOCK: flock === 'addon' ? '' : flock,
		},
	});
	report(stdout);
	return {version, exact, flock, good: status === 0, counts: countsOf(stdout)};
}

/** Links the files that the tests need and that do not depend on the version. */
function makeProject(folder: string): void {
	rmSync(folder, {recursive: true, force: true});
	mkdirSync(join(folder, 'node_modules'), {recursive: true});
	for (const part of ['src', 'test', 'examples', 'bench', 'scripts', 'library']) {
		cpSync(join(root, 'build', part), join(folder, 'build', part), {recursive: true});
	}
	symlinkSync(join(root, 'build/nodes'), join(folder, 'build/nodes'));
	for (const name of readdirSync(root)) {
		if (!['build', 'node_modules', '.git'].includes(name)) symlinkSync(join(root, name), join(folder, name));
	}
	for (const name of readdirSync(join(root, 'node_modules'))) {
		if (name !== 'fs-ext') symlinkSync(join(root, 'node_modules', name), join(folder, 'node_modules', name));
	}
}

/** Returns whether the addon could be compiled for the Node in `home`, with that Node's headers. */
function compileAddon(folder: string, home: string): boolean {
	const source = join(root, 'node_modules/fs-ext');
	if (!existsSync(source)) return false;
	const addon = join(folder, 'node_modules/fs-ext');
	cpSync(source, addon, {recursive: true, filter: path => resolve(path) !== join(source, 'build')});
	const nodeGyp = process.env['npm_config_node_gyp'];
	if (nodeGyp === undefined) throw new Error('Start this by npm run test:matrix, which brings node-gyp');
	const node = join(home, 'bin/node');
	// A `nodedir` in npm's configuration would take precedence over the option.
	const made = capture(node, [nodeGyp, 'rebuild'], {cwd: addon, env: {...process.env, npm_config_nodedir: home}});
	const loads = capture(node, ['-e', 'require("fs-ext")'], {cwd: folder});
	if (made.status === 0 && loads.status === 0) return true;
	console.error(`fs-ext cannot be compiled for ${home}:\n${made.stderr.slice(-2000)}${loads.stderr}`);
	return false;
}

function capture(command: string, args: readonly string[], options: SpawnOptions = {}): SpawnSyncReturns<string> {
	return spawnSync(command, args, {...options, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe']});
}

/** Returns the failures with their diagnostics, and the skipped tests. */
function report(tap: string): void {
	const parts = tap.split(/^(?=(?:not )?ok )/m);
	for (const part of parts) {
		if (part.startsWith('not ok ')) console.log(part.trimEnd());
		else if (/^ok .*# SKIP/.test(part)) console.log(part.split('\n', 1)[0]);
	}
}

function countsOf(tap: string): string {
	const count = (expression: RegExp): number => tap.match(expression)?.length ?? 0;
	const skipped = count(/^ok .*# SKIP/gm);
	return `${count(/^ok /gm) - skipped} passed, ${count(/^not ok /gm)} failed, ${skipped} skipped`;
}
