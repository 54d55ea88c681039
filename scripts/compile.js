/**
 * `npm run compile`: writes the JavaScript of src/, test/, bench/, examples/ and scripts/ to build/, in less than a
 * second. ava.config.js calls it, so that no test runs on stale output. `tsc` only checks types.
 *
 * What tests start in processes of its own is bundled, because each of them would load a hundred modules: the command, as
 * build/library/cli.cjs, the library, in build/library, and the programs of test/fixtures.
 */
import {mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {dirname, join} from 'node:path';
import {argv} from 'node:process';
import {fileURLToPath} from 'node:url';
import {build} from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
const folders = ['src', 'test', 'bench', 'examples', 'scripts'];

const common = {
	outdir: join(root, 'build'),
	outbase: root,
	absWorkingDir: root,
	write: false,
	format: 'esm',
	platform: 'node',
	target: 'node20.19',
	sourcemap: true,
	logLevel: 'warning',
};

/** Writes only changed files, because another test run may read them, and deletes output without a source. */
export async function compile() {
	const sources = folders.flatMap(folder => filesOf(join(root, folder)).filter(isSource));
	const isProgram = path => path.startsWith(join(root, 'test/fixtures/'));
	const bundling = {...common, bundle: true, packages: 'external'};
	const results = await Promise.all([
		build({...common, entryPoints: sources.filter(path => !isProgram(path))}),
		build({...bundling, entryPoints: sources.filter(isProgram)}),
		bundleLibrary(join(root, 'build/library'), false),
		bundleCommand(join(root, 'build/library/cli.cjs'), false),
	]);
	const outputFiles = results.flatMap(result => result.outputFiles);
	const outputs = new Set(outputFiles.map(({path}) => path));
	for (const folder of [...folders, 'library']) {
		for (const path of filesOf(join(root, 'build', folder))) {
			if (!outputs.has(path)) rmSync(path, {force: true});
		}
	}
	for (const {path, contents} of outputFiles) {
		if (read(path)?.equals(contents)) continue;
		mkdirSync(dirname(path), {recursive: true});
		writeFileSync(path, contents);
	}
}

/**
 * Bundles the library, as it is published. proper-lockfile is in it, because in a program that esbuild bundles as an ES
 * module, a CommonJS package cannot `require` what Node has.
 */
function bundleLibrary(outdir, write = true) {
	return build({
		...common,
		entryPoints: {index: join(root, 'src/index.ts'), register: join(root, 'src/api/register.ts')},
		outdir,
		write,
		bundle: true,
		splitting: true,
		external: ['fs-ext', 'koffi', 'p-retry'],
		banner: {js: 'const require = name => process.getBuiltinModule(name);'},
		chunkNames: '[name]-[hash]',
		sourcemap: !write,
	});
}

/** Bundles the command into one file, as it is published: it starts in two thirds of the time. */
function bundleCommand(outfile, write = true) {
	return build({
		entryPoints: [join(root, 'src/cli/main.ts')],
		outfile,
		write,
		absWorkingDir: root,
		bundle: true,
		minifySyntax: true,
		minifyWhitespace: true,
		format: 'cjs',
		platform: 'node',
		target: 'node20.19',
		external: ['fs-ext', 'koffi', 'p-retry'],
		define: {'import.meta.url': 'moduleUrl'},
		banner: {js: "const moduleUrl = require('node:url').pathToFileURL(__filename).href;"},
		logLevel: 'warning',
	});
}

function isSource(path) {
	return path.endsWith('.ts') && !path.endsWith('.d.ts');
}

function filesOf(folder) {
	return entriesOf(folder).flatMap(entry => {
		const path = join(folder, entry.name);
		if (entry.isDirectory()) return entry.name === 'node_modules' ? [] : filesOf(path);
		return entry.isFile() ? [path] : [];
	});
}

function entriesOf(folder) {
	try {
		return readdirSync(folder, {withFileTypes: true});
	} catch (error) {
		if (error.code === 'ENOENT') return [];
		throw error;
	}
}

function read(path) {
	try {
		return readFileSync(path);
	} catch {
		return undefined;
	}
}

if (argv[1] === fileURLToPath(import.meta.url)) {
	const [, , published] = argv;
	if (published === undefined) await compile();
	else await Promise.all([bundleLibrary(published), bundleCommand(join(published, 'cli.cjs'))]);
}
