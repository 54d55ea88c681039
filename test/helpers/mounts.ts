/**
 * Mounts filesystems for tests.
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
 * Mirrors a directory by FUSE at a new directory. A guard unmounts it if this process is killed.
 *
 * @returns the FUSE server: see {@link hang}
 */
export async function mountByFuse(t: ExecutionContext, directory: string, at: string): Promise<Program> {
	mkdirSync(at);
	// The guard has its own session, so it survives a kill of the test run's process group.
	startCommand(t, 'setsid', ['sh', '-c', 'read -r _; umount -l "$1"', 'sh', at]);
	const program = startCommand(t, 'setpriv', ['--pdeathsig', 'KILL', 'bindfs', '-f', directory, at]);
	t.teardown(() => spawnSync('umount', ['-l', at]));
	await until(() => readFileSync('/proc/self/mountinfo', 'utf8').includes(` ${at} `), `a mount at ${at}`);
	return program;
}

/** Stops the FUSE server until the test ends. It continues before the teardown of its clients, which could not end otherwise. */
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

/** Mounts a btrfs image until the test ends. */
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

/** Mounts a filesystem at a new directory until the test ends. */
export function mountAt(t: ExecutionContext, at: string, type: string, options: string): void {
	mkdirSync(at, {recursive: true});
	execFileSync('mount', ['-t', type, '-o', options, 'none', at]);
	t.teardown(() => spawnSync('umount', ['-l', at]));
}

/** Mounts an overlay, with its layers in the same directory. */
export function mountOverlay(t: ExecutionContext, directory: string): {upper: string; merged: string} {
	const of = (name: string): string => join(directory, name);
	for (const name of ['lower', 'upper', 'work']) mkdirSync(of(name));
	mountAt(t, of('merged'), 'overlay', `lowerdir=${of('lower')},upperdir=${of('upper')},workdir=${of('work')}`);
	return {upper: of('upper'), merged: of('merged')};
}
