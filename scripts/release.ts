/**
 * `npm run release:check`: packs the package and checks all conditions of a release except the tests, which CI runs.
 * Publishes nothing.
 */
import {type SpawnSyncReturns, spawnSync} from 'node:child_process';
import {createHash} from 'node:crypto';
import {mkdirSync, readFileSync, rmSync} from 'node:fs';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';

const root = fileURLToPath(new URL('../../', import.meta.url));
const {name, version} = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Record<string, string>;
const folders = ['first', 'second'].map(which => join(root, 'build/release', which)) as [string, string];
let problems = 0;

check('nothing is uncommitted', () => run('git', 'status', '--porcelain').stdout.trim());
check('the changelog has this version', () => {
	const changelog = readFileSync(join(root, 'CHANGELOG.md'), 'utf8');
	return changelog.includes(`\n## [${version}]`) ? '' : `CHANGELOG.md has no heading "## [${version}]"`;
});
check('lint', () => failure(run('npx', 'biome', 'check', '.')));
check('the manual page is that of the command', () => {
	const page = readFileSync(join(root, 'docs/bindlock.1'), 'utf8');
	return run(process.execPath, 'build/src/cli/main.js', 'man').stdout === page
		? ''
		: 'npx bindlock man > docs/bindlock.1';
});
check('the lock file fits, and names no registry', () => {
	const lock = readFileSync(join(root, 'package-lock.json'), 'utf8');
	return lock.includes('"resolved"')
		? 'package-lock.json has "resolved" addresses'
		: failure(run('npm', 'ci', '--dry-run'));
});
check('no known vulnerability in what is shipped', () => failure(run('npm', 'audit', '--omit=dev')));
check('the signatures of the registry', () => failure(run('npm', 'audit', 'signatures')));
const tarballs = folders.map(pack);
check('two builds are the same', () => (hash(tarballs[0]) === hash(tarballs[1]) ? '' : 'the tarballs differ'));
check('publint', () => failure(run('npx', 'publint', '--strict', tarballs[0] ?? '')));
check('attw', () => failure(run('npx', 'attw', tarballs[0] ?? '', '--profile', 'esm-only')));

console.log(`\n${tarballs[0]}\nsha512-${hash(tarballs[0])}`);
if (problems === 0)
	console.log(`Ready. In CI, on the tag v${version}: npm publish --provenance ${name}-${version}.tgz`);
else console.log(`${problems} ${problems === 1 ? 'thing is' : 'things are'} in the way of a release.`);
process.exitCode = problems === 0 ? 0 : 1;

/** @param find returns the problem, if there is one */
function check(what: string, find: () => string): void {
	const problem = find();
	console.log(problem === '' ? `ok     ${what}` : `not ok ${what}\n${problem.replace(/^/gm, '         ')}`);
	if (problem !== '') problems++;
}

function pack(folder: string): string {
	rmSync(folder, {recursive: true, force: true});
	rmSync(join(root, 'dist'), {recursive: true, force: true});
	mkdirSync(folder, {recursive: true});
	check(`pack into ${folder}`, () => failure(run('npm', 'pack', '--pack-destination', folder)));
	return join(folder, `${name}-${version}.tgz`);
}

function hash(path = ''): string {
	return createHash('sha512').update(readFileSync(path)).digest('base64');
}

function run(command: string, ...args: readonly string[]): SpawnSyncReturns<string> {
	return spawnSync(command, args, {cwd: root, encoding: 'utf8', maxBuffer: 2 ** 26});
}

function failure({status, stdout, stderr, error}: SpawnSyncReturns<string>): string {
	return status === 0 ? '' : `${error ?? ''}${stdout}${stderr}`.trim().slice(-2000) || `status ${status}`;
}
