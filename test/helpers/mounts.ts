/**
 * Filesystems of other kinds than the one of temporary files.
 */
import {execFileSync, spawnSync} from 'node:child_process';
import {chmodSync, existsSync, mkdirSync, readFileSync, truncateSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import type {ExecutionContext} from 'ava';
import {lacking} from './abilities.js';
import {until} from './deadlines.js';
import {notRoot, type Program, startCommand, temporaryDirectory} from './programs.js';

export function noFuse(): string | undefined {
	return notRoot ?? lacking('bindfs') ?? (existsSync('/dev/fuse') ? undefined : 'needs /dev/fuse');
}

/**
 * Shows a directory at another, which is made, by FUSE. A guard unmounts it when this process is killed.
 *
 * @returns the program that answers for it: see {@link hang}
 */
export async function mountByFuse(t: ExecutionContext, directory: string, at: string): Promise<Program> {
	mkdirSync(at);
	// In a session of its own, so that it also outlives a test run that is killed as a group.
	startCommand(t, 'setsid', ['sh', '-c', 'read -r _; umount -l "$1"', 'sh', at]);
	const program = startCommand(t, 'setpriv', ['--pdeathsig', 'KILL', 'bindfs', '-f', directory, at]);
	t.teardown(() => spawnSync('umount', ['-l', at]));
	await until(() => readFileSync('/proc/self/mountinfo', 'utf8').includes(` ${at} `), `a mount at ${at}`);
	return program;
}

/** Has it answer no more, until the test ends: before the processes end that use it, which could not. */
export function hang(t: ExecutionContext, fuse: Program): void {
	fuse.signal('SIGSTOP');
	t.teardown(() => fuse.signal('SIGCONT'));
}

export function noBtrfs(): string | undefined {
	return (
		notRoot ??
		lacking('mkfs.btrfs') ??
		lacking('btrfs') ??
		(existsSync('/dev/loop-control') ? undefined : 'needs loop devices')
	);
}

/** A btrfs of its own, in a file; unmounted after the test. */
export function mountBtrfs(t: ExecutionContext): string {
	const directory = temporaryDirectory(t);
	const [image, at] = [join(directory, 'image'), join(directory, 'at')];
	writeFileSync(image, '');
	truncateSync(image, 2 ** 28);
	mkdirSync(at);
	chmodSync(directory, 0o755);
	execFileSync('mkfs.btrfs', ['--quiet', image]);
	execFileSync('mount', ['-o', 'loop', image, at]);
	t.teardown(() => spawnSync('umount', ['-l', at]));
	return at;
}

/** A filesystem of another kind at a directory, which is made; unmounted after the test. */
export function mountAt(t: ExecutionContext, at: string, type: string, options: string): void {
	mkdirSync(at, {recursive: true});
	execFileSync('mount', ['-t', type, '-o', options, 'none', at]);
	t.teardown(() => spawnSync('umount', ['-l', at]));
}

/** An overlay with its layers beside it, in a directory. */
export function mountOverlay(t: ExecutionContext, directory: string): {upper: string; merged: string} {
	const of = (name: string): string => join(directory, name);
	for (const name of ['lower', 'upper', 'work']) mkdirSync(of(name));
	mountAt(t, of('merged'), 'overlay', `lowerdir=${of('lower')},upperdir=${of('upper')},workdir=${of('work')}`);
	return {upper: of('upper'), merged: of('merged')};
}
