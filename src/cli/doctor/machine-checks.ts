/**
 * The checks of `bindlock doctor` that do not depend on an address.
 */
import {queueingCommand} from '../../kernel/flock/choice.js';
import type {Finding} from './finding.js';
import {flockMethod, isInitialNamespace, kernelSetting, readableTables} from './machine-facts.js';

export function machineChecks(): Finding[] {
	return [platform(), node(), abstractNames(), ...flock(), ...proc(), ...namespaces(), protectedRegular()];
}

function platform(): Finding {
	const check = 'platform';
	if (process.platform === 'linux') return {level: 'ok', check, message: 'Linux'};
	if (process.platform === 'darwin') {
		return {
			level: 'warning',
			check,
			message: 'macOS has no /proc, so holders are named by the record in the lock file only',
			remedy: 'nothing to do; locking works',
		};
	}
	return {level: 'problem', check, message: `${process.platform} has no flock(2)`, remedy: 'use Linux or macOS'};
}

function node(): Finding {
	const {node: version} = process.versions;
	const [major = 0, minor = 0] = version.split('.').map(Number);
	if (major > 20 || (major === 20 && minor >= 19)) return {level: 'ok', check: 'node', message: version};
	return {level: 'problem', check: 'node', message: `${version} is too old`, remedy: 'use Node 20.19 or later'};
}

/** Concerns servers only: bindlock spells the names of its locks alike with every version of Node. */
function abstractNames(): Finding {
	const check = 'abstract names';
	if (Number(process.versions.node.split('.')[0]) >= 22) {
		return {level: 'ok', check, message: 'this Node binds the exact name, as other programs do'};
	}
	return {
		level: 'warning',
		check,
		message:
			'this Node pads a name with NULs to 108 bytes; Node 22 and other programs do not, so to them the same name is another address. This Node also truncates paths that are too long',
		remedy: 'run all servers and clients of an abstract name with Node 20, or none of them; or use a path',
	};
}

function flock(): Finding[] {
	try {
		const message =
			flockMethod() === 'addon' ? 'by the addon fs-ext' : 'by flock(1), which starts a process for each lock';
		const found: Finding = {level: 'ok', check: 'flock', message};
		const check = 'waiting';
		if (queueingCommand() !== undefined) return [found, {level: 'ok', check, message: 'in the queue of the kernel'}];
		const remedy = 'install flock(1), from util-linux or BusyBox';
		return [found, {level: 'warning', check, message: 'by polling every few milliseconds', remedy}];
	} catch (error) {
		const [message = '', remedy = ''] = (error as Error).message.split(/\. (?=Install)/);
		return [{level: 'problem', check: 'flock', message, remedy}];
	}
}

function proc(): Finding[] {
	if (process.platform !== 'linux') return [];
	const {sockets, locks, processes} = readableTables();
	return [
		sockets && locks
			? {level: 'ok', check: '/proc', message: 'shows bound sockets and locks'}
			: {
					level: 'warning',
					check: '/proc',
					message: `does not show ${sockets ? 'locks' : 'bound sockets'}, so holders are named by the record in the lock file only, and servers that take no lock are detected by connecting`,
					remedy: 'mount /proc',
				},
		processes
			? {level: 'ok', check: 'processes', message: 'processes of other users can be read'}
			: {
					level: 'warning',
					check: 'processes',
					message:
						'processes of other users cannot be read, so holders among them are not always named or verified; locking works',
					remedy: 'run bindlock doctor, list and status as root, or run all servers of an address as one user',
				},
	];
}

function namespaces(): Finding[] {
	const findings: Finding[] = [];
	const meanings = {
		pid: 'pids of holders outside are not valid here, so these are named as the record in the lock file claims',
		net: 'servers outside that take no lock are detected by connecting only, and abstract names outside are separate',
	};
	for (const [kind, meaning] of Object.entries(meanings)) {
		const initial = isInitialNamespace(kind as 'pid' | 'net');
		if (initial === undefined) continue;
		const check = `${kind} namespace`;
		findings.push(
			initial
				? {level: 'ok', check, message: 'the initial namespace'}
				: {
						level: 'warning',
						check,
						message: `a separate namespace, such as that of a container: ${meaning}`,
						remedy: 'nothing to do if every server of the address uses bindlock; locks work across namespaces',
					},
		);
	}
	return findings;
}

function protectedRegular(): Finding {
	const setting = kernelSetting('fs/protected_regular');
	const check = 'fs.protected_regular';
	if (!setting) return {level: 'ok', check, message: setting === 0 ? 'off' : 'this kernel does not have it'};
	return {
		level: 'ok',
		check,
		message: `${setting}: in sticky directories such as /tmp the kernel refuses to open a file of another user with O_CREAT; bindlock first opens lock files without O_CREAT`,
	};
}
