/**
 * Clients of the fixture `generation`, which repeat requests until they are stopped: HTTP/1 with and without keep-alive,
 * HTTP/2, WebSocket.
 */
import {Agent} from 'node:http';
import http2 from 'node:http2';
import {connect} from 'node:net';
import type {ExecutionContext} from 'ava';
import {WebSocket} from 'ws';
import {getText} from './http.js';

export interface Answer {
	readonly kind: Kind;
	/** The time of the request, by `performance.now()`. */
	readonly at: number;
	/** The pid in the answer. */
	readonly pid?: number;
	/** The `code` of the error. */
	readonly error?: string;
}

type Kind = 'keep-alive' | 'one each' | 'http2' | 'websocket';

/** @param base see the fixture */
export function startClients(
	t: ExecutionContext,
	base: string,
): {readonly answers: readonly Answer[]; stop(): Promise<void>} {
	const answers: Answer[] = [];
	let isStopped = false;
	t.teardown(() => {
		isStopped = true;
	});
	const run = async (kind: Kind, ask: () => Promise<string>): Promise<void> => {
		while (!isStopped) {
			const at = performance.now();
			try {
				answers.push({kind, at, pid: Number(await ask())});
			} catch (error) {
				// If a stream could not be sent, the error of its session has the reason.
				const {code, message, cause} = error as NodeJS.ErrnoException;
				answers.push({kind, at, error: (cause as NodeJS.ErrnoException | undefined)?.code ?? code ?? message});
				// Pause, so that the next server has time to start.
				await new Promise(resolve => setTimeout(resolve, 5));
			}
		}
	};
	const agent = new Agent({keepAlive: true, maxSockets: 8});
	const asking = [
		...times(8, () => run('keep-alive', () => getText(`${base}.1`, '/', agent))),
		...times(2, () => run('one each', () => getText(`${base}.1`))),
		...times(2, () => run('http2', http2Client(`${base}.2`))),
		run('websocket', webSocketClient(`${base}.1`)),
	];
	return {
		answers,
		stop: async () => {
			isStopped = true;
			await Promise.all(asking);
			agent.destroy();
		},
	};
}

function times<Result>(count: number, make: () => Result): Result[] {
	return Array.from({length: count}, make);
}

/** Repeats a stream that the server has refused (RFC 9113, section 8.7). */
function http2Client(path: string): () => Promise<string> {
	let session: http2.ClientHttp2Session | undefined;
	const ask = (): Promise<string> =>
		new Promise((resolve, reject) => {
			if (session === undefined || session.closed || session.destroyed) {
				session = http2.connect('http://localhost', {createConnection: () => connect(path)});
				session.unref();
				session.on('error', reject);
			}
			let body = '';
			session
				.request({':path': '/'})
				.on('data', chunk => {
					body += chunk;
				})
				.on('error', reject)
				.on('close', () => (body === '' ? reject(new Error('no answer')) : resolve(body)));
		});
	return async () => {
		for (;;) {
			try {
				return await ask();
			} catch (error) {
				if (!/REFUSED_STREAM/.test((error as Error).message)) throw error;
			}
		}
	};
}

/** Connects again and repeats its message when the server announces its end. */
function webSocketClient(path: string): () => Promise<string> {
	let socket: WebSocket | undefined;
	const ask = (): Promise<string | undefined> =>
		new Promise((resolve, reject) => {
			socket ??= new WebSocket(`ws+unix:${path}:/`);
			const current = socket;
			const settle = (outcome: () => void): void => {
				current.off('message', hear).off('close', close).off('error', reject).off('open', send);
				outcome();
			};
			const hear = (data: WebSocket.RawData): void => settle(() => resolve(data.toString()));
			const close = (code: number): void => {
				socket = undefined;
				settle(() => (code === 1001 ? resolve(undefined) : reject(new Error(`closed with ${code}`))));
			};
			const send = (): void => current.send('?');
			current.on('message', hear).on('close', close).on('error', reject);
			if (current.readyState === WebSocket.OPEN) send();
			else current.on('open', send);
		});
	return async () => {
		for (;;) {
			const answer = await ask();
			if (answer !== undefined) return answer;
		}
	};
}
