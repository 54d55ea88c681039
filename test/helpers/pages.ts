/**
 * Runs the code of the documentation, in a separate directory for each page, with `bindlock` installed there. Words after
 * the language of a code block control the test:
 *
 * - `run`: run it; it must succeed, or exit with the status N of `status=N`
 * - `background`: run it until the end of the page
 * - `file=NAME`: write the text to this file
 * - `output`: compare the text with the output of the previous block, except for values that vary
 */
import {spawn} from 'node:child_process';
import {chmodSync, cpSync, existsSync, mkdirSync, symlinkSync, writeFileSync} from 'node:fs';
import {delimiter, dirname, join} from 'node:path';
import {fileURLToPath} from 'node:url';
import type {ExecutionContext} from 'ava';
import ts from 'typescript';
import {until, withDeadline} from './deadlines.js';
import {readText, root} from './repository.js';
import {bun, deno} from './runtimes.js';

export interface Block {
	readonly language: string;
	readonly words: readonly string[];
	readonly text: string;
	/** `docs/tutorial.md:12` */
	readonly where: string;
}

export function blocksOf(page: string): Block[] {
	const text = readText(page);
	return [...text.matchAll(/^```(\w*)([^\n]*)\n([\s\S]*?)^```$/gm)].map(found => ({
		language: found[1] ?? '',
		words: (found[2] ?? '').split(' ').filter(Boolean),
		text: found[3] ?? '',
		where: `${page}:${text.slice(0, found.index).split('\n').length}`,
	}));
}

export function wordOf({words}: Block, name: string): string | undefined {
	return words.find(word => word.startsWith(`${name}=`))?.slice(name.length + 1);
}

/** Returns whether a block is tested. */
export function isTested(block: Block): boolean {
	return (
		['run', 'background', 'output'].some(word => block.words.includes(word)) || wordOf(block, 'file') !== undefined
	);
}

/** Runs all blocks of a page in order. */
export async function follow(t: ExecutionContext, page: string, directory: string): Promise<void> {
	const environment = makeProject(dirname(page), directory);
	for (const block of blocksOf(page)) installImported(block.text, directory);
	let printed: (() => string) | undefined;
	for (const block of blocksOf(page).filter(isTested)) {
		const file = wordOf(block, 'file');
		const text = block.text.replaceAll('/run/', `${directory}/`);
		if (block.words.includes('output')) await expectOutput(t, block, directory, printed);
		else if (file !== undefined) writeFileSync(join(directory, file), text);
		else printed = await runBlock(t, block, text, directory, environment);
	}
}

async function expectOutput(
	t: ExecutionContext,
	block: Block,
	directory: string,
	printed?: () => string,
): Promise<void> {
	const expected = withoutChance(block.text, directory);
	const actual = (): string => withoutChance(printed?.() ?? '', directory);
	// A background process may not have printed its output yet.
	await until(() => actual() === expected, block.where).catch(() => {});
	t.is(actual(), expected, block.where);
}

/** Removes process ids, times and other values that vary. */
function withoutChance(text: string, directory: string): string {
	return text
		.replaceAll(`${directory}/`, '/run/')
		.replaceAll(process.execPath, 'node')
		.replace(/\(\/\S*\/(\w+)/g, '($1')
		.replace(/\bpid \d+/g, 'pid N')
		.replace(/\buid \d+/g, 'uid N')
		.replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME')
		.trim();
}

async function runBlock(
	t: ExecutionContext,
	block: Block,
	text: string,
	directory: string,
	env: NodeJS.ProcessEnv,
): Promise<() => string> {
	const [command, ...args] = commandFor(block.language, text, directory);
	const child = spawn(command ?? '', args, {cwd: directory, env, stdio: ['ignore', 'pipe', 'pipe'], detached: true});
	let output = '';
	for (const stream of [child.stdout, child.stderr]) {
		stream.setEncoding('utf8').on('data', chunk => {
			output += chunk;
		});
	}
	const ended = new Promise<number | null>((resolve, reject) => child.on('error', reject).on('close', resolve));
	const end = (): void => {
		try {
			// Kills the process group, with the children of a shell.
			if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
		} catch {}
	};
	t.teardown(async () => {
		end();
		await ended;
	});
	if (block.words.includes('background')) await until(() => output !== '', `${block.where} to say something`);
	else {
		const status = await withDeadline(ended);
		t.is(status, Number(wordOf(block, 'status') ?? 0), `${block.where}: ${output}`);
		end();
	}
	return () => output;
}

let scripts = 0;

function commandFor(language: string, text: string, directory: string): string[] {
	if (language === 'sh') return ['sh', '-eu', '-c', text];
	const {outputText} = ts.transpileModule(text, {
		compilerOptions: {target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext},
	});
	const script = join(directory, `block${scripts++}.mjs`);
	writeFileSync(script, outputText);
	return [process.execPath, script];
}

/** Makes an empty project with bindlock installed and the files in the page's folder. */
function makeProject(folder: string, directory: string): NodeJS.ProcessEnv {
	if (folder === 'examples') cpSync(join(root, folder), directory, {recursive: true});
	const build = fileURLToPath(new URL('../../', import.meta.url));
	const installed = join(directory, 'node_modules/bindlock');
	mkdirSync(installed, {recursive: true});
	symlinkSync(join(build, 'library'), join(installed, 'dist'));
	const exports = {'.': './dist/index.js', './register': './dist/register.js'};
	writeFileSync(join(installed, 'package.json'), JSON.stringify({name: 'bindlock', type: 'module', exports}));
	writeFileSync(join(directory, 'package.json'), '{"type": "module", "dependencies": {"bindlock": "*"}}');
	const bin = join(directory, 'node_modules/.bin');
	mkdirSync(bin);
	const node = `exec "${process.execPath}"`;
	makeScript(join(bin, 'bindlock'), `${node} "${join(build, 'library/cli.cjs')}" "$@"`);
	makeScript(join(bin, 'npx'), 'exec "$@"');
	makeScript(join(bin, 'node'), `${node} "$@"`);
	for (const [name, {options}] of Object.entries({bun, deno}))
		makeScript(join(bin, name), `exec "${options.executable}" "$@"`);
	return {...process.env, PATH: `${bin}${delimiter}${process.env['PATH']}`, NO_COLOR: '1', FORCE_COLOR: '0'};
}

/** Installs the packages that a block imports, if the tests have them. */
function installImported(text: string, directory: string): void {
	for (const [, name = ''] of text.matchAll(/^import .* from '((?:@[\w-]+\/)?[\w.-]+)/gm)) {
		const [from, to] = [join(root, 'node_modules', name), join(directory, 'node_modules', name)];
		if (!existsSync(from) || existsSync(to)) continue;
		mkdirSync(dirname(to), {recursive: true});
		symlinkSync(from, to);
	}
}

function makeScript(path: string, text: string): void {
	writeFileSync(path, `#!/bin/sh\n${text}\n`);
	chmodSync(path, 0o755);
}
