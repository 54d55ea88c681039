/**
 * Tests the published package: packed, installed alone and with fs-ext, and used as a library, by `require`, as a command,
 * and by strict compilers.
 */
import {existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {isBuiltin} from 'node:module';
import {tmpdir} from 'node:os';
import {dirname, join, resolve} from 'node:path';
import test from 'ava';
import {noAddon, noFlockCommand, testUnless} from '../helpers/abilities.js';
import {type Outcome, runToEnd} from '../helpers/command.js';
import {atLoad} from '../helpers/deadlines.js';
import {nodeOf, noNode, versions} from '../helpers/node-versions.js';
import {root} from '../helpers/repository.js';

const directory: string = mkdtempSync(join(tmpdir(), 'bindlock-package-'));
const [alone, withAddon] = [join(directory, 'alone'), join(directory, 'with-addon')];
let packed: {readonly files: readonly {readonly path: string}[]} | undefined;

test.serial.before('pack and install the package', async t => {
	t.timeout(atLoad(120_000));
	const {stdout} = await npm(root, 'pack', '--json', '--pack-destination', directory);
	const [report] = JSON.parse(stdout.slice(stdout.indexOf('[\n'))) as {filename: string; files: {path: string}[]}[];
	packed = report;
	const tarball = join(directory, report?.filename ?? '');
	// Packages with the exact version that these tests have.
	const {version} = JSON.parse(readFileSync(join(root, 'node_modules/fs-ext/package.json'), 'utf8')) as {
		version: string;
	};
	await install(alone, tarball);
	if (noAddon() === undefined) await install(withAddon, tarball, `fs-ext@${version}`);
});

test.after.always('remove the projects', () => rmSync(directory, {recursive: true, force: true}));

async function install(project: string, ...what: readonly string[]): Promise<void> {
	mkdirSync(project);
	writeFileSync(join(project, 'package.json'), '{"private": true, "allowScripts": {"fs-ext": true}}');
	await npm(project, 'install', '--prefer-offline', '--no-audit', '--no-fund', ...what);
}

/**
 * Runs npm with the headers of the current Node, so that the addon fits it and nothing is downloaded. Install scripts
 * are enabled regardless of the user's configuration, because packing needs them.
 */
async function npm(cwd: string, ...args: readonly string[]): Promise<Outcome> {
	const prefix = dirname(dirname(process.execPath));
	const headers = existsSync(join(prefix, 'include/node/node.h')) ? {npm_config_nodedir: prefix} : {};
	const outcome = await runToEnd('npm', args, {
		cwd,
		env: {...headers, npm_config_loglevel: 'error', npm_config_ignore_scripts: 'false'},
		deadlineMs: 110_000,
	});
	if (outcome.status !== 0) throw new Error(`npm ${args.join(' ')}: ${outcome.stderr}`);
	return outcome;
}

/** Takes an address, is refused the second time, and releases it. */
const use = `
const address = process.argv[2];
const lock = await acquire(address);
const refused = await acquire(address).catch(error => error);
console.log(lock.held, refused instanceof BindLockError, refused.code, (await inspect(address)).state);
await lock.release();
console.log((await inspect(address)).state);
`;
const usedWell = 'true true EADDRINUSE held\nfree\n';
const programs: Readonly<Record<string, string>> = {
	'use.mjs': `import {acquire, BindLockError, inspect} from 'bindlock';${use}`,
	'use.cjs': `const {acquire, BindLockError, inspect} = require('bindlock');(async () => {${use}})();`,
};

async function usedBy(
	node: string,
	project: string,
	program: string,
	env: Record<string, string> = {},
): Promise<Outcome> {
	writeFileSync(join(project, program), programs[program] ?? '');
	const address = join(project, `${program}-${versions.find(version => nodeOf(version) === node)}.sock`);
	return runToEnd(node, [program, address], {cwd: project, env});
}

for (const program of Object.keys(programs)) {
	testUnless(noAddon())(`${program}: with fs-ext beside it, by the addon`, async t => {
		const outcome = await usedBy(process.execPath, withAddon, program, {BINDLOCK_FLOCK: 'addon'});
		t.like(outcome, {stdout: usedWell, stderr: '', status: 0});
	});

	testUnless(noFlockCommand())(`${program}: alone, by flock(1)`, async t => {
		t.false(existsSync(join(alone, 'node_modules/fs-ext')));
		const outcome = await usedBy(process.execPath, alone, program, {BINDLOCK_FLOCK: 'command'});
		t.like(outcome, {stdout: usedWell, stderr: '', status: 0});
	});

	for (const version of versions) {
		testUnless(noNode(version), noFlockCommand())(`${program}: on Node ${version}, without warnings`, async t => {
			t.like(await usedBy(nodeOf(version), alone, program), {stdout: usedWell, stderr: '', status: 0});
		});
	}
}

for (const project of [alone, withAddon]) {
	const obstacle = project === alone ? undefined : noAddon();
	testUnless(obstacle)(
		`the command runs a server under its lock (${project === alone ? 'alone' : 'with fs-ext'})`,
		async t => {
			const command = join(project, 'node_modules/.bin/bindlock');
			const address = join(project, 'run.sock');
			const inner = `"${command}" status ${address}; exit 7`;
			const {status, stdout, stderr} = await runToEnd(command, ['run', address, '--', 'sh', '-c', inner]);
			t.regex(stdout, /held/);
			t.deepEqual({status, stderr}, {status: 7, stderr: ''});
			const {version} = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {version: string};
			t.is((await runToEnd(command, ['--version'])).stdout, `${version}\n`);
		},
	);
}

test('the tarball contains only the files in use', t => {
	const files = packed?.files.map(({path}) => path) ?? [];
	const used = ['dist/index.js', 'dist/index.d.ts', 'dist/cli.cjs', 'dist/LICENSES'];
	for (const file of [...used, 'docs/bindlock.1', 'LICENSE', 'README.md']) t.true(files.includes(file), file);
	const expected =
		/^(package\.json|README\.md|LICENSE|docs\/bindlock\.1|dist\/[^/]+\.c?js|dist\/LICENSES|dist\/(?!cli\/).+\.d\.ts)$/;
	t.deepEqual(
		files.filter(file => !expected.test(file)),
		[],
	);
});

test('the files named in package.json exist: entries, types, command, manual page', t => {
	const installed = join(alone, 'node_modules/bindlock');
	const manifest = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8')) as Record<string, unknown>;
	const named = [manifest['exports'], manifest['bin'], manifest['man']].flatMap(strings);
	t.true(named.length >= 5, named.join());
	for (const path of named) t.true(existsSync(resolve(installed, path)), path);
});

test('the dependencies are exactly the packages that the code loads', t => {
	const installed = join(alone, 'node_modules/bindlock');
	const manifest = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8')) as Record<string, object>;
	const dist = join(installed, 'dist');
	const loaded = new Set<string>();
	for (const file of readdirSync(dist).filter(name => /\.c?js$/.test(name))) {
		const code = readFileSync(join(dist, file), 'utf8');
		const requests = code.matchAll(
			/(?:\bfrom|\bimport\(|\brequire\(|\bcreateRequire\)?\([\w.]+\)\()\s*"([a-z@][\w@./:-]*)"/g,
		);
		for (const [, name = ''] of requests) loaded.add(name);
	}
	const packages = [...loaded].filter(name => !isBuiltin(name));
	const named = {...manifest['dependencies'], ...manifest['peerDependencies']};
	t.is(manifest['optionalDependencies'], undefined);
	t.deepEqual(packages.sort(), Object.keys(named).sort());
});

function strings(value: unknown): string[] {
	return typeof value === 'string' ? [value] : Object.values(value as object).flatMap(strings);
}

const consumer = `
import {createServer} from 'node:http';
import {acquire, BindLockError, inspect, listen, type BindLock, type ListenOptions} from 'bindlock';
const options: ListenOptions = {waitMs: 1000, replace: {killSignal: 'SIGTERM'}, onWait: holder => console.log(holder?.pid)};
export const lock: BindLock = await listen(createServer(), '/run/app.sock', options);
export const pid: number | undefined = (await inspect('/run/app.sock')).holder?.pid;
export async function scoped(): Promise<string> {
	await using mine = await acquire('/run/app.sock');
	return mine.address;
}
try { await acquire('/run/app.sock'); } catch (error) { if (error instanceof BindLockError) throw error.cause; }
// @ts-expect-error a misspelled option
await acquire('/run/app.sock', {waitMS: 1});
// @ts-expect-error internals are not to be had
await import('bindlock/dist/acquire.js');
`;

for (const [module, moduleResolution] of [
	['nodenext', 'nodenext'],
	['esnext', 'bundler'],
] as const) {
	test(`a strict consumer compiles with moduleResolution ${moduleResolution} and without skipLibCheck`, async t => {
		t.timeout(atLoad(60_000));
		const project = join(alone, moduleResolution);
		mkdirSync(project);
		writeFileSync(join(project, 'package.json'), '{"type": "module"}');
		writeFileSync(join(project, 'consumer.ts'), consumer);
		const types = {types: ['node'], typeRoots: [join(root, 'node_modules/@types')]};
		const libraries = {target: 'es2022', lib: ['es2022', 'esnext.disposable'], skipLibCheck: false};
		const compilerOptions = {module, moduleResolution, ...libraries, ...types, ...strictest};
		writeFileSync(join(project, 'tsconfig.json'), JSON.stringify({compilerOptions, files: ['consumer.ts']}));
		const tsc = join(root, 'node_modules/typescript/bin/tsc');
		const {stdout} = await runToEnd(process.execPath, [tsc, '-p', project], {deadlineMs: 60_000});
		// The types of Node have an error with these options.
		const complaints = stdout.split('\n').filter(line => line.includes('error') && !line.includes('@types/node/'));
		t.deepEqual(complaints, []);
	});
}

const strictest = {
	strict: true,
	exactOptionalPropertyTypes: true,
	noUncheckedIndexedAccess: true,
	noUncheckedSideEffectImports: true,
	verbatimModuleSyntax: true,
	isolatedModules: true,
	noEmit: true,
} as const;
