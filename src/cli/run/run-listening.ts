/**
 * `bindlock run --listen`: holds the lock and the listening socket of each address, and passes them to a command, which
 * can be started anew without refusing a client.
 */
import {hasPassedSockets} from '../../kernel/sockets/passed-sockets.js';
import {programAndScript} from '../../model/command-line.js';
import {BindLockError} from '../../model/errors.js';
import {quoted} from '../../model/text.js';
import {parseAddressArgument} from '../arguments.js';
import {UsageError} from '../failures.js';
import {writeMessage} from '../output.js';
import {endOnSignals} from '../process-one.js';
import {endLike, reportNotStarted} from './command-end.js';
import {startCommand} from './command-process.js';
import {type Generation, Generations} from './generations.js';
import {HeldSocket} from './held-socket.js';
import {untilReady} from './readiness.js';
import {acquireOptions, type ListeningOptions, listeningOptions, type RunOptions} from './run-options.js';
import {SignalForwarding} from './signal-forwarding.js';

/** How soon a reload is repeated that failed after a socket was bound again: nobody serves the new socket. */
const healRetryMs = 10_000;

/** @returns the exit status */
export async function runListening(
	[file, ...args]: readonly string[],
	addresses: readonly string[],
	options: RunOptions,
): Promise<number> {
	if (file === undefined) throw new UsageError('a command is missing: bindlock run --listen ADDRESS -- COMMAND');
	const settings = listeningOptions(options);
	if (hasPassedSockets()) {
		throw new BindLockError(
			'bindlock was started with listening sockets (LISTEN_FDS), which --listen would replace: use bindlock run ADDRESS -- COMMAND',
			{code: 'ERR_LISTEN_FDS', address: addresses[0] ?? ''},
		);
	}
	const sockets: HeldSocket[] = [];
	const releaseAll = (): void => {
		for (const socket of sockets) socket.close();
		for (const socket of sockets) socket.release();
	};
	const leaveSignals = endOnSignals();
	try {
		for (const address of addresses) sockets.push(await take(address, options, settings));
	} catch (error) {
		releaseAll();
		throw error;
	}
	leaveSignals();
	const forwarding = new SignalForwarding();
	try {
		const outcomes = await Promise.allSettled(sockets.map(socket => socket.bind()));
		for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
	} catch (error) {
		releaseAll();
		throw error;
	}
	const command = new ListeningCommand([file, ...args], sockets, settings, options);
	const first = command.start();
	if (first instanceof Promise) {
		releaseAll();
		return reportNotStarted(file, await first, options.json);
	}
	const generations = command.begin(first);
	forwarding.start(generations);
	const {status, signal} = await generations.ended();
	for (const socket of sockets) socket.close();
	await generations.retiredEnded();
	command.stop();
	forwarding.stop();
	releaseAll();
	endLike(signal);
	return status;
}

function take(address: string, options: RunOptions, {permissions, backlog}: ListeningOptions): Promise<HeldSocket> {
	return HeldSocket.take(parseAddressArgument(address), acquireOptions(address, options), permissions, backlog);
}

/** The command with its sockets: started, described in the records, and started anew when a socket is bound again. */
class ListeningCommand {
	readonly #command: readonly string[];
	readonly #sockets: readonly HeldSocket[];
	readonly #settings: ListeningOptions;
	readonly #options: RunOptions;
	#generations: Generations | undefined;
	#since = '';
	#current: Generation | undefined;
	/** How often a socket was bound again, now and when each process was started. */
	#heals = 0;
	readonly #healsAtStart: WeakMap<Generation, number> = new WeakMap();
	#retry: NodeJS.Timeout | undefined;

	constructor(
		command: readonly string[],
		sockets: readonly HeldSocket[],
		settings: ListeningOptions,
		options: RunOptions,
	) {
		this.#command = command;
		this.#sockets = sockets;
		this.#settings = settings;
		this.#options = options;
	}

	/** @returns the code of the error if the command cannot be started */
	start(): Generation | Promise<string> {
		const {readyFd, readyAfterMs} = this.#settings;
		const [file = '', ...args] = this.#command;
		const started = startCommand(file, args, {
			locks: this.#sockets.map(socket => socket.lockDescriptor),
			sockets: this.#sockets.map(socket => socket.descriptor),
			names: this.#sockets.map(socket => socket.name),
			readyFd,
		});
		if (started instanceof Promise) return started;
		const generation = {...started, ready: untilReady(started.ready, readyAfterMs)};
		this.#healsAtStart.set(generation, this.#heals);
		return generation;
	}

	begin(first: Generation): Generations {
		const generations = new Generations(
			first,
			() => this.start(),
			this.#settings,
			() => this.#onChange(),
		);
		this.#generations = generations;
		this.#announce(generations);
		for (const [index, socket] of this.#sockets.entries()) this.#guard(socket, index, generations);
		return generations;
	}

	stop(): void {
		clearTimeout(this.#retry);
	}

	#guard(socket: HeldSocket, index: number, generations: Generations): void {
		const stops = this.#options.onLoss === 'stop';
		socket.guard(
			() => {
				this.#heals++;
				const address = this.#options.listen?.[index];
				this.#say(`the files of ${address} were removed or replaced, and are made again; starting the command anew`);
				generations.reload();
			},
			({message}) => {
				this.#say(`${message}${stops ? '; ending the command' : ''}`);
				if (stops) generations.signal('SIGTERM');
			},
		);
	}

	/** A reload has begun or ended. */
	#onChange(): void {
		const generations = this.#generations as Generations;
		const {begun, ended, error} = generations.reloads;
		const old = this.#current;
		this.#announce(generations);
		if (begun !== ended) return;
		const {current} = generations;
		if (error === undefined) this.#say(`process ${current.pid} serves; process ${old?.pid} was told to end`);
		else this.#say(`the reload failed: ${error}; process ${current.pid} continues`);
		clearTimeout(this.#retry);
		if (this.#healsAtStart.get(current) === this.#heals) return;
		this.#retry = setTimeout(() => generations.reload(), healRetryMs);
	}

	/** Writes the records: of the process that serves. */
	#announce({current, reloads}: Generations): void {
		if (this.#current !== current) this.#since = new Date().toISOString();
		this.#current = current;
		const {pid, locks} = current;
		const command = programAndScript(this.#command);
		for (const [index, socket] of this.#sockets.entries()) {
			socket.announce({pid, fd: locks[index], command, since: this.#since, reloads});
		}
	}

	#say(message: string): void {
		writeMessage(this.#options.json ? quoted({message}) : `bindlock: ${message}`);
	}
}
