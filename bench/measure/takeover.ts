/**
 * The time from the SIGKILL of a serving holder until its successor accepts connections: by turns, in one run. The
 * successor reports the time at which it listens, on a clock that all processes share. A client checks it afterwards: a
 * client that tried repeatedly would use one of the few processors.
 */
import {join} from 'node:path';
import {reach} from '../../test/helpers/detectors.js';
import type {Program} from '../../test/helpers/programs.js';
import {compile, noCompiler} from '../harness/compile.js';
import {type Context, sleep} from '../harness/context.js';
import {obstacle} from '../harness/load.js';
import type {Outcome, Unavailable} from '../harness/results.js';
import {pollMs, type Wait, type WaitName, waitNames, waits} from '../harness/waits.js';

export const blockedC = 'C, blocked in flock';
export const metric = 'SIGKILL to listening';

interface Successor {
	readonly subject: string;
	readonly lease: boolean;
	readonly startHolder: (address: string) => Program;
	readonly startNext: (address: string) => Program;
	readonly addressOf: (path: string) => string;
	readonly values: number[];
}

export async function takeover(context: Context): Promise<Outcome> {
	const unavailable: Unavailable[] = [];
	const successors = await everySuccessor(context, unavailable);
	const directory = context.places.tmpfs;
	const prompt = successors.filter(one => !one.lease);
	const rounds = context.quick ? 5 : 40;
	for (let round = 0; round < rounds; round++) {
		for (const one of prompt) {
			context.progress(round, rounds, 'rounds');
			one.values.push(await takeOver(one, join(directory, 's')));
		}
	}
	// A lease expires by the clock, so all of these can wait at the same time.
	const patient: Promise<void>[] = [];
	context.progress(1, 1, 'waiting for leases to end');
	for (let round = 0; round < (context.quick ? 1 : 8); round++) {
		for (const [index, one] of successors.filter(one => one.lease).entries()) {
			const address = join(directory, `lease${round}-${index}`);
			patient.push(takeOver(one, address).then(value => void one.values.push(value)));
			await sleep(100);
		}
	}
	await Promise.all(patient);
	return {measurements: successors.map(({subject, values}) => ({subject, metric, unit: 'ms', values})), unavailable};
}

async function takeOver({startHolder, startNext, addressOf}: Successor, path: string): Promise<number> {
	const holder = startHolder(path);
	await holder.expect('waiting');
	await holder.expect('serving');
	const next = startNext(path);
	await next.expect('waiting');
	// The shell and its flock(1) start after the report; by now the kernel has queued them. The pause is random, because
	// some ways poll at fixed times.
	await sleep(150 + Math.random() * 2 * pollMs);
	const begin = process.hrtime.bigint();
	process.kill(holder.pid, 'SIGKILL');
	const {at} = await next.expect('serving');
	if ((await reach(addressOf(path))) !== next.pid) throw new Error('the successor does not answer');
	await Promise.all([next.kill(), holder.kill()]);
	return Number(BigInt(String(at)) - begin) / 1e6;
}

async function everySuccessor(context: Context, unavailable: Unavailable[]): Promise<Successor[]> {
	const successors: Successor[] = [];
	for (const subject of waitNames) {
		const {package: peer, lease, env = {}, runtime, abstract}: Wait = waits[subject];
		const reason = peer === undefined ? runtime?.obstacle : await obstacle(peer);
		if (reason !== undefined) {
			unavailable.push({subject, reason});
			continue;
		}
		const start = (path: string): Program => context.start('successor', [subject, path], {...runtime?.options, env});
		const addressOf = (path: string): string => (abstract ? `\0${path}` : path);
		successors.push({subject, lease: lease === true, startHolder: start, startNext: start, addressOf, values: []});
	}
	const program = compile('successor', context.places.tmpfs);
	if (program === undefined) unavailable.push({subject: blockedC, reason: noCompiler});
	else successors.unshift(blockedSuccessor(context, program));
	return successors;
}

/** All ways have the same holder: only the successor is measured. */
function blockedSuccessor(context: Context, program: string): Successor {
	const holding: WaitName = 'bindlock, queued by flock(1)';
	return {
		subject: blockedC,
		lease: false,
		startHolder: path => context.start('successor', [holding, path]),
		startNext: path => context.startCommand(program, [`${path}.lock`, path]),
		addressOf: path => path,
		values: [],
	};
}
