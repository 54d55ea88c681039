/**
 * `bindlock run --listen`: holds the lock and the listening socket of each address, and passes them to a command, which
 * can be started anew without refusing a client.
 */
import {hasPassedSockets} from '../../kernel/sockets/passed-sockets.js';
import {Loss} from '../../lock/loss.js';
import {takeAddress} from '../../lock/take.js';
import {programAndScript} from '../../model/command-line.js';
import {BindLockError} from '../../model/errors.js';
import {checkAcquireOptions} from '../../model/option-checks.js';
import {quoted} from '../../model/text.js';
import {parseAddressArgument} from '../arguments.js';
import {UsageError} from '../failures.js';
import {writeMessage} from '../output.js';
import {endOnSignals} from '../process-one.js';
import {endLike, reportNotStarted} from './command-end.js';
import {type CommandEnd, startCommand} from './command-process.js';
import {type Generation, Generations} from './generations.js';
import {HeldSocket} from './held-socket.js';
import {untilReady} from './readiness.js';
import {acquireOptions, type ListeningOptions, listeningOptions, type RunOptions} from './run-options.js';
import {SignalForwarding} from './signal-forwarding.js';

/** How soon a reload is repeated that failed after a socket was bound again: nobody serves the new socket. */
const healRetryMs = 10_000;

/** @returns the exit status */
export async function runListening(
	command: readonly string[],
	addresses: readonly string[],
	options: RunOptions,
): Promise<number> {
	if (command.length === 0) throw new UsageError('a command is missing: bindlock run --listen ADDRESS -- COMMAND');
	const settings = listeningOptions(options);
	if (hasPassedSockets()) {
		throw new BindLockError(
			'bindlock was started with listening sockets (LISTEN_FDS), which --listen would replace: use bindlock run ADDRESS -- COMMAND',
			{code: 'ERR_LISTEN_FDS', address: addresses[0] ?? ''},
		);
	}
	const sockets: HeldSocket[] = [];
	let end: CommandEnd;
	try {
		const leaveSignals = endOnSignals();
		for (const address of addresses) sockets.push(await take(address, options, settings));
		leaveSignals();
		end = await serve(new ListeningCommand(command, sockets, settings, options), sockets);
	} finally {
		closeAll(sockets);
		for (const socket of sockets) socket.release();
	}
	endLike(end.signal);
	return end.status;
}

async function take(address: string, options: RunOptions, settings: ListeningOptions): Promise<HeldSocket> {
	const parsed = parseAddressArgument(address);
	const given = acquireOptions(address, options);
	const lock = await takeAddress(parsed, checkAcquireOptions(parsed.given, given), new Loss());
	return new HeldSocket(parsed, given, settings, lock);
}

/** Binds the sockets, and runs the command until all its processes have ended. */
async function serve(command: ListeningCommand, sockets: readonly HeldSocket[]): Promise<CommandEnd> {
	const forwarding = new SignalForwarding();
	const outcomes = await Promise.allSettled(sockets.map(socket => socket.bind()));
	for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
	const first = command.start();
	if (first instanceof Promise) return {status: command.reportNotStarted(await first), signal: null};
	const generations = command.begin(first);
	forwarding.start(generations);
	const end = await generations.ended();
	// Newcomers are refused at once, also while older processes drain.
	closeAll(sockets);
	await generations.retiredEnded();
	command.stop();
	forwarding.stop();
	return end;
}

function closeAll(sockets: readonly HeldSocket[]): void {
	for (const socket of sockets) socket.close();
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
	/** The processes that were started since a socket was bound again: they have all of the present sockets. */
	#upToDate: WeakSet<Generation> = new WeakSet();
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
		this.#upToDate.add(generation);
		return generation;
	}

	/** @returns the exit status */
	reportNotStarted(code: string): number {
		return reportNotStarted(this.#command[0] ?? '', code, this.#options.json);
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
				this.#upToDate = new WeakSet();
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
		if (this.#upToDate.has(current)) return;
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
