/**
 * Filesystems that do not answer.
 */
import {spawnSync} from 'node:child_process';
import {existsSync, mkdirSync, readFileSync} from 'node:fs';
import type {ExecutionContext} from 'ava';
import {lacking} from './abilities.js';
import {notRoot, type Program, startCommand, until} from './programs.js';

export function noFuse(): string | undefined {
	return notRoot ?? lacking('bindfs') ?? (existsSync('/dev/fuse') ? undefined : 'needs /dev/fuse');
}

/**
 * Shows a directory at another, which is made, by FUSE.
 *
 * @returns the program that answers for it, to be stopped
 */
export async function mountByFuse(t: ExecutionContext, directory: string, at: string): Promise<Program> {
	mkdirSync(at);
	const program = startCommand(t, 'bindfs', ['-f', directory, at]);
	t.teardown(() => {
		program.signal('SIGCONT');
		spawnSync('umount', ['-l', at]);
	});
	await until(() => readFileSync('/proc/self/mountinfo', 'utf8').includes(` ${at} `), `a mount at ${at}`);
	return program;
}
