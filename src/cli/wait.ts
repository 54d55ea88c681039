/**
 * `bindlock wait`: returns when a server listens, or when the address is free.
 */
import {inspect} from '../api/inspect.js';
import {pause} from '../kernel/deadline.js';
import {statusOfPath} from '../kernel/files/file-status.js';
import {isNameServed} from '../kernel/sockets/abstract-owners.js';
import {isServed} from '../kernel/sockets/pathname-owners.js';
import {connectOnce} from '../kernel/sockets/probe.js';
import {type Address, maxNameBytes} from '../model/address.js';
import {describeHolder, type Holder} from '../model/holder.js';
import {printable} from '../model/text.js';
import {addressArgument, parseAddressArgument, parseTimeout} from './arguments.js';
import {exit} from './exit-status.js';
import {holderJson, printJson} from './json.js';
import {writeMessage} from './output.js';
import {answeredConnection, connectionPollMs} from './poll-interval.js';

interface WaitOptions {
	readonly for?: 'listening' | 'free';
	readonly timeout?: string;
	readonly json?: boolean;
}

/** The result of one look at the address. */
interface Look {
	/** Why the goal is not reached; `undefined` if it is. */
	readonly why: string | undefined;
	readonly holder?: Holder;
	/** Whether looking connected to a live server, which is then polled less often. */
	readonly connected?: boolean;
}

const firstPauseMs = 5;
const longestPauseMs = 100;

/** @returns the exit status */
export default async function wait([address = '']: readonly string[], options: WaitOptions): Promise<number> {
	const goal = options.for ?? 'listening';
	const parsed = parseAddressArgument(address);
	const timeoutMs = parseTimeout(options.timeout);
	const began = performance.now();
	let look: Look;
	for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(pauseMs * 1.5, longestPauseMs)) {
		look = goal === 'free' ? await lookFree(address) : {why: await whyNotListening(parsed)};
		const leftMs = began + timeoutMs - performance.now();
		if (look.why === undefined || leftMs <= 0) break;
		await pause(Math.min(look.connected ? connectionPollMs : pauseMs, leftMs));
	}
	const {why, holder} = look;
	const reached = why === undefined;
	const waitedMs = Math.round(performance.now() - began);
	if (options.json) printJson({address, for: goal, reached, waitedMs, holder: holderJson(holder)});
	else if (!reached) writeMessage(`bindlock: ${printable(address)}: not ${goal} after ${waitedMs} ms: ${why}`);
	return reached ? exit.done : exit.taken;
}

async function lookFree(address: string): Promise<Look> {
	const inspection = await inspect(addressArgument(address));
	const {state, holder, reason} = inspection;
	if (state === 'free' || state === 'stale') return {why: undefined};
	if (holder !== undefined) return {why: `${state}, by ${describeHolder(holder)}`, holder};
	return {why: reason?.message ?? state, connected: await answeredConnection(address, inspection)};
}

/** Returns why a client could not connect now, `undefined` if it could. Asks the kernel, and connects only if it must. */
async function whyNotListening(address: Address): Promise<string | undefined> {
	const unbound = 'no server is bound to it';
	if (address.kind === 'abstract') return isNameServed(address.name) ? undefined : unbound;
	const socket = statusOfPath(address.path);
	if (socket === undefined) return 'it does not exist';
	if (socket.type !== 'socket') return 'it is not a socket';
	const served = await isServed(address.path, socket);
	if (served !== undefined) return served ? undefined : 'a server is bound to it and does not listen yet';
	// No process of this network namespace is bound: the socket is stale, or its server is in another namespace. Only a
	// connection tells.
	const path = Buffer.byteLength(address.path) > maxNameBytes ? address.bindPath : address.path;
	const answer = await connectOnce(path);
	if (answer === 'CONNECTED' || answer === 'EAGAIN' || answer === 'EPROTOTYPE') return undefined;
	return answer === 'ECONNREFUSED' ? unbound : `the connection failed (${answer})`;
}
