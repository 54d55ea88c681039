/**
 * Transcripts of what a program sees of its server: see the fixture.
 */
import {execFile} from 'node:child_process';
import {existsSync, mkdirSync} from 'node:fs';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {promisify} from 'node:util';
import type {ExecutionContext} from 'ava';
import {atLoad, patienceMs} from './deadlines.js';
import {temporaryDirectory} from './programs.js';

const run = promisify(execFile);
const transcript = fileURLToPath(new URL('../fixtures/transcript.js', import.meta.url));

/** Runs a scenario; returns its output, and whether it left its socket. */
export async function transcribe(
	t: ExecutionContext,
	scenario: string,
	...options: readonly string[]
): Promise<string> {
	const directory = join(temporaryDirectory(t), 'd');
	mkdirSync(directory);
	const {stdout, stderr} = await run(process.execPath, [...options, transcript, scenario, directory], {
		timeout: atLoad(patienceMs),
	}).catch(error => error as {stdout: string; stderr: string});
	const left = existsSync(join(directory, 's')) ? 'left' : 'gone';
	return `${stdout.replace(/bindlock-transcript-\d+/g, 'name')}${stderr}socket ${left}\n`;
}
