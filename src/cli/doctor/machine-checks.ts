/**
 * The checks of `bindlock doctor` that do not depend on an address.
 */
import {readdirSync} from 'node:fs';
import {flockWay, queueingCommand, unusableWays, type Way} from '../../kernel/flock/choice.js';
import {initialPidNamespace} from '../../kernel/proc/namespaces.js';
import {linkOrUndefined, readProc} from '../../kernel/proc/procfs.js';
import {attempt} from '../../model/attempt.js';
import {type Finding, ok, problem, warning} from './finding.js';

export function machineChecks(): Finding[] {
	return [platform(), node(), abstractNames(), ...flock(), ...proc(), ...namespaces(), protectedRegular()];
}

function platform(): Finding {
	const check = 'platform';
	if (process.platform === 'linux') return ok(check, 'Linux');
	if (process.platform !== 'darwin') {
		return problem(check, `${process.platform} has no flock(2)`, 'use Linux or macOS');
	}
	return warning(
		check,
		'macOS has no /proc, so holders are named by the record in the lock file only',
		'nothing to do; locking works',
	);
}

function node(): Finding {
	const {node: version} = process.versions;
	const [major = 0, minor = 0] = version.split('.').map(Number);
	if (major > 20 || (major === 20 && minor >= 19)) return ok('node', version);
	return problem('node', `${version} is too old`, 'use Node 20.19 or later');
}

/** Concerns servers only: bindlock spells the names of its locks alike with every version of Node. */
function abstractNames(): Finding {
	const check = 'abstract names';
	if (Number(process.versions.node.split('.')[0]) >= 22) {
		return ok(check, 'this Node binds the exact name, as other programs do');
	}
	return warning(
		check,
		'this Node pads a name with NULs to 108 bytes; Node 22 and other programs do not, so to them the same name is another address. This Node also truncates paths that are too long',
		'run all servers and clients of an abstract name with Node 20, or none of them; or use a path',
	);
}

function flock(): Finding[] {
	try {
		const others = [...unusableWays()].map(([way, reason]) => ok(`flock by ${way}`, `cannot be used: ${reason}`));
		const waiting =
			queueingCommand() === undefined
				? warning('waiting', 'by polling every few milliseconds', 'install flock(1), from util-linux or BusyBox')
				: ok('waiting', 'in the queue of the kernel');
		return [ok('flock', `by ${describedWays[flockWay()]}`), ...others, waiting];
	} catch (error) {
		const [message = '', remedy = ''] = (error as Error).message.split(/\. (?=Install)/);
		return [problem('flock', message, remedy)];
	}
}

const describedWays: Readonly<Record<Way, string>> = {
	addon: 'the addon fs-ext',
	ffi: 'the foreign function interface of this runtime',
	koffi: 'koffi',
	command: 'flock(1), which starts a process for each lock',
};

function proc(): Finding[] {
	if (process.platform !== 'linux') return [];
	const hasSockets = readProc('/proc/net/unix') !== undefined;
	return [
		hasSockets && readProc('/proc/locks') !== undefined
			? ok('/proc', 'shows bound sockets and locks')
			: warning(
					'/proc',
					`does not show ${hasSockets ? 'locks' : 'bound sockets'}, so holders are named by the record in the lock file only, and servers that take no lock are detected by connecting`,
					'mount /proc',
				),
		attempt(() => readdirSync('/proc/1/fd'))
			? ok('processes', 'processes of other users can be read')
			: warning(
					'processes',
					'processes of other users cannot be read, so holders among them are not always named or verified; locking works',
					'run bindlock doctor, list and status as root, or run all servers of an address as one user',
				),
	];
}

function namespaces(): Finding[] {
	const meanings = {
		pid: 'pids of holders outside are not valid here, so these are named as the record in the lock file claims',
		net: 'servers outside that take no lock are detected by connecting only, and abstract names outside are separate',
	};
	return (['pid', 'net'] as const).flatMap(kind => {
		const initial = isInitialNamespace(kind);
		if (initial === undefined) return [];
		const check = `${kind} namespace`;
		if (initial) return ok(check, 'the initial namespace');
		return warning(
			check,
			`a separate namespace, such as that of a container: ${meanings[kind]}`,
			'nothing to do if every server of the address uses bindlock; locks work across namespaces',
		);
	});
}

/**
 * Returns whether this process is in the namespace in which the machine booted, `undefined` if unknown. Only the initial
 * pid namespace has a fixed inode number. The initial network namespace is that of process 1 there.
 */
function isInitialNamespace(kind: 'pid' | 'net'): boolean | undefined {
	const initial = kind === 'pid' ? initialPidNamespace : linkOrUndefined('/proc/1/ns/net');
	if (initial === undefined || (kind === 'net' && !isInitialNamespace('pid'))) return undefined;
	const own = linkOrUndefined(`/proc/self/ns/${kind}`);
	return own === undefined ? undefined : own === initial;
}

function protectedRegular(): Finding {
	const setting = readProc('/proc/sys/fs/protected_regular')?.trim();
	const check = 'fs.protected_regular';
	if (setting === undefined) return ok(check, 'this kernel does not have it');
	if (setting === '0') return ok(check, 'off');
	return ok(
		check,
		`${setting}: in sticky directories such as /tmp the kernel refuses to open a file of another user with O_CREAT; bindlock first opens lock files without O_CREAT`,
	);
}
