/**
 * Starting somebody else's command as a shell would: same terminal, same process group, same open
 * descriptors, and the lock among them.
 */
import type {ChildProcess} from 'node:child_process';
import {constants} from 'node:os';
import {codeOf} from '../../model/errors.js';
import {type Inherited, inheritedDescriptors} from './inherited-descriptors.js';

export interface Started {
	readonly pid: number;
	/** The number under which it has the lock's descriptor. */
	readonly lock: number | undefined;
	/** Its status as a shell reports it: 128+n for signal n, but 0 for one that Node has no name for. */
	readonly exited: Promise<number>;
	/** Nothing happens if it is gone, or may not be signalled. */
	signal(signal: NodeJS.Signals): void;
}

/**
 * Starts the command, and returns when `execve` has succeeded or failed.
 *
 * @param lock the descriptor to leave to it, if any
 * @returns for a command that could not be started, the code: `'ENOENT'`, `'EACCES'`, …
 */
export function startCommand(
	command: string,
	args: readonly string[],
	lock: number | undefined,
): Started | Promise<string> {
	const {spawn} = process.getBuiltinModule('node:child_process');
	const passed = new Map(inherited.open.map(descriptor => [descriptor, descriptor]));
	const number = lock === undefined ? undefined : (inherited.spare ?? lock);
	if (number !== undefined) passed.set(number, lock as number);
	let child: ChildProcess;
	try {
		child = spawn(command, args, {stdio: stdioOf(passed)});
	} catch (error) {
		// An empty name: there is no such command.
		return Promise.resolve(codeOf(error) === 'ERR_INVALID_ARG_VALUE' ? 'ENOENT' : codeOf(error));
	}
	const failed = new Promise<string>(resolve => child.on('error', error => resolve(codeOf(error))));
	if (child.pid === undefined) return failed;
	const exited = new Promise<number>(resolve =>
		child.on('exit', (code, signal) => resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal]))),
	);
	return {pid: child.pid, lock: number, exited, signal: signal => child.kill(signal)};
}

/** What the command gets under each number; the rest stays closed to it. */
function stdioOf(descriptors: ReadonlyMap<number, number>): ('inherit' | 'ignore' | number)[] {
	const stdio: ('inherit' | 'ignore' | number)[] = ['inherit', 'inherit', 'inherit'];
	for (const [number, descriptor] of descriptors) {
		while (stdio.length < number) stdio.push('ignore');
		stdio[number] = descriptor;
	}
	return stdio;
}

/** Looked up at the start, before this process opens anything of its own. */
const inherited: Inherited = process.platform === 'linux' ? inheritedDescriptors() : {open: [], spare: undefined};
