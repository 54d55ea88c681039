/**
 * What is the same for every address of this machine.
 */

import type {Finding} from './doctor.js';
import {flockWay, isInitialNamespace, kernelSetting, queuesInKernel, seesTables} from './trials.js';

export function machineChecks(): Finding[] {
	return [platform(), node(), abstractSpelling(), ...flock(), ...proc(), ...namespaces(), protectedRegular()];
}

function platform(): Finding {
	if (process.platform === 'linux') return {level: 'ok', check: 'platform', message: 'Linux'};
	if (process.platform === 'darwin') {
		return {
			level: 'warning',
			check: 'platform',
			message: 'macOS has no /proc: holders are named by their record only',
			remedy: 'nothing to do; locking works',
		};
	}
	return {
		level: 'problem',
		check: 'platform',
		message: `${process.platform} has no flock(2)`,
		remedy: 'use Linux or macOS',
	};
}

function node(): Finding {
	const {node: version} = process.versions;
	const [major = 0, minor = 0] = version.split('.').map(Number);
	if (major > 20 || (major === 20 && minor >= 19)) return {level: 'ok', check: 'node', message: version};
	return {level: 'problem', check: 'node', message: `${version} is too old`, remedy: 'use Node 20.19 or later'};
}

/** What matters to servers that bind by themselves; the lock's own names are the same for every version. */
function abstractSpelling(): Finding {
	const check = 'abstract names';
	if (Number(process.versions.node.split('.')[0]) >= 22) {
		return {level: 'ok', check, message: 'this Node binds them at their exact length, as other programs do'};
	}
	return {
		level: 'warning',
		check,
		message:
			'this Node pads them with NULs to 108 bytes, where Node 22 and other programs do not: the same name is two addresses. It also cuts longer paths in silence',
		remedy: 'run servers and clients of an abstract name on the same side of Node 22, or use a path',
	};
}

function flock(): Finding[] {
	try {
		const way = flockWay();
		const found: Finding =
			way === 'addon'
				? {level: 'ok', check: 'flock', message: 'by the addon fs-ext'}
				: {level: 'ok', check: 'flock', message: 'by flock(1), at the cost of a process for each lock'};
		if (queuesInKernel()) return [found, {level: 'ok', check: 'waiting', message: 'in the queue of the kernel'}];
		const remedy = 'install flock(1): package util-linux, or BusyBox';
		return [found, {level: 'warning', check: 'waiting', message: 'by trying every few milliseconds', remedy}];
	} catch (error) {
		const [message = '', remedy = ''] = (error as Error).message.split(/\. (?=Install)/);
		return [{level: 'problem', check: 'flock', message, remedy}];
	}
}

function proc(): Finding[] {
	if (process.platform !== 'linux') return [];
	const {sockets, locks, processes} = seesTables();
	const findings: Finding[] = [];
	if (sockets && locks) findings.push({level: 'ok', check: '/proc', message: 'shows bound sockets and locks'});
	else {
		findings.push({
			level: 'warning',
			check: '/proc',
			message: `does not show ${sockets ? 'locks' : 'bound sockets'}: holders are named by their record only, and servers that take no lock are found by connecting`,
			remedy: 'mount /proc',
		});
	}
	if (processes) findings.push({level: 'ok', check: 'processes', message: 'those of other users can be looked into'});
	else {
		findings.push({
			level: 'warning',
			check: 'processes',
			message: 'those of other users cannot be looked into: they hold, but are not always named or verified',
			remedy: 'run the diagnosis as root, or servers of one address as one user',
		});
	}
	return findings;
}

function namespaces(): Finding[] {
	const findings: Finding[] = [];
	const meanings = {
		pid: 'a holder outside has a pid that means nothing here, and is named as its record claims',
		net: 'a server outside that takes no lock is not in the table, and is found by connecting; abstract names are others',
	};
	for (const [kind, meaning] of Object.entries(meanings)) {
		const initial = isInitialNamespace(kind as 'pid' | 'net');
		if (initial === undefined) continue;
		const check = `${kind} namespace`;
		if (initial) findings.push({level: 'ok', check, message: 'that of the machine'});
		else
			findings.push({
				level: 'warning',
				check,
				message: `one of its own: ${meaning}`,
				remedy: 'nothing, if every server of an address takes its lock, which holds across namespaces',
			});
	}
	return findings;
}

function protectedRegular(): Finding {
	const setting = kernelSetting('fs/protected_regular');
	const check = 'fs.protected_regular';
	if (!setting) return {level: 'ok', check, message: setting === 0 ? 'off' : 'not there'};
	return {
		level: 'ok',
		check,
		message: `${setting}: in sticky directories such as /tmp files of others are not opened with O_CREAT; bindlock opens without it first`,
	};
}
