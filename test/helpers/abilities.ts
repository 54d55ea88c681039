/**
 * Requirements of tests. Each function returns the reason to skip a test, or `undefined`. A skipped test shows the reason
 * in its title.
 */
import {spawnSync} from 'node:child_process';
import {chmodSync, existsSync, mkdtempSync, rmSync, symlinkSync} from 'node:fs';
import {createRequire} from 'node:module';
import {tmpdir} from 'node:os';
import {delimiter, join} from 'node:path';
import {fileURLToPath} from 'node:url';
import test, {type ExecutionContext} from 'ava';
import {notRoot} from './programs.js';

type Run = (t: ExecutionContext) => void | Promise<void>;

/** Defines a serial test, or a skipped test if there is an obstacle. */
export function testUnless(...obstacles: readonly (string | undefined)[]): (title: string, run: Run) => void {
	const reason = obstacles.find(obstacle => obstacle !== undefined);
	return (title, run) => {
		if (reason === undefined) test.serial(title, run);
		else test.serial.skip(`${title} (skipped: ${reason})`, run);
	};
}

/** A user without files, for tests that must not run as root. */
export const otherUid = 54_321;

export function noOtherUser(): string | undefined {
	const become = ['--reuid', String(otherUid), '--regid', String(otherUid), '--clear-groups'];
	const read = `require('node:fs').readFileSync(${JSON.stringify(fileURLToPath(import.meta.url))})`;
	return (
		notRoot ?? unlessWorks('another user cannot read these files', 'setpriv', ...become, process.execPath, '-e', read)
	);
}

export function noMounts(): string | undefined {
	return notRoot ?? unlessWorks('may not mount', 'unshare', '--mount', 'sh', '-c', 'mount -t tmpfs none /tmp');
}

export function noNetworkNamespaces(): string | undefined {
	return notRoot ?? unlessWorks('may not make a network namespace', 'unshare', '--net', 'true');
}

export function noPidNamespaces(): string | undefined {
	return (
		notRoot ??
		unlessWorks('may not make a pid namespace', 'unshare', '--pid', '--uts', '--fork', '--mount-proc', 'true')
	);
}

/** Prefers Debian's python3, because other users cannot run one in a home directory. */
export const python: string = existsSync('/usr/bin/python3') ? '/usr/bin/python3' : 'python3';

export function noPython(): string | undefined {
	return unlessWorks('needs python3, to make sockets that Node cannot make', python, '-c', 'import socket');
}

export function noAddon(): string | undefined {
	return unlessLoads('fs-ext', 'needs fs-ext to be compiled');
}

export function noKoffi(): string | undefined {
	return unlessLoads('koffi', 'needs koffi');
}

function unlessLoads(name: string, reason: string): string | undefined {
	try {
		createRequire(import.meta.url)(name);
		return undefined;
	} catch {
		return reason;
	}
}

export function noFlockCommand(): string | undefined {
	return unlessWorks('needs flock(1)', 'sh', '-c', 'command -v flock');
}

export function noPgrep(): string | undefined {
	return unlessWorks('needs the pgrep of procps', 'sh', '-c', 'pgrep --version | grep procps');
}

export function noOpenssl(): string | undefined {
	return unlessWorks('needs openssl, to make a certificate', 'openssl', 'version');
}

function unlessWorks(reason: string, command: string, ...args: readonly string[]): string | undefined {
	return spawnSync(command, args, {stdio: 'ignore'}).status === 0 ? undefined : reason;
}

/** Returns the reason to skip if a program is not installed. */
export function lacking(program: string): string | undefined {
	return unlessWorks(`needs ${program}`, 'sh', '-c', `command -v ${program}`);
}

/** Returns a PATH that contains only flock(1), so no ss(8). */
export function pathWithoutSs(t: ExecutionContext): string {
	const directory = mkdtempSync(join(tmpdir(), 'bl-'));
	t.teardown(() => rmSync(directory, {recursive: true}));
	const all = (process.env['PATH'] ?? '').split(delimiter);
	const flock = all.map(each => join(each, 'flock')).find(existsSync);
	if (flock !== undefined) symlinkSync(flock, join(directory, 'flock'));
	chmodSync(directory, 0o755);
	return directory;
}

/** Sets that PATH for this process and its children until the test ends. */
export function withoutSs(t: ExecutionContext): void {
	const {PATH: before = ''} = process.env;
	process.env['PATH'] = pathWithoutSs(t);
	t.teardown(() => {
		process.env['PATH'] = before;
	});
}
