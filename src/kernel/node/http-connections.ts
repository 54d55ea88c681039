/**
 * The connections of an HTTP server that has stopped listening. Node lists them; bindlock keeps no list of sockets.
 */
import type {Server as HttpServer, IncomingMessage, ServerResponse} from 'node:http';
import type {ServerHttp2Session} from 'node:http2';
import type {Server} from 'node:net';

/**
 * The methods that close HTTP/1 connections. A secure HTTP/2 server with `allowHTTP1` has only the first, but Node keeps
 * its HTTP/1 connections in the same list.
 */
interface Http1Server extends Server {
	closeIdleConnections(): void;
}

/** Ends the HTTP connections of a server without cutting a request. Raw and upgraded connections are not touched. */
export class HttpConnections {
	readonly #server: Server;
	/** Responses whose headers may not have been sent. */
	readonly #responses: Set<ServerResponse> = new Set();
	readonly #sessions: Set<ServerHttp2Session> = new Set();
	#isEnding = false;

	constructor(server: Server) {
		this.#server = server;
		if (isHttp2(server)) server.on('session', this.#onSession);
		else if (isHttp1(server)) server.prependListener('request', this.#onRequest);
	}

	/**
	 * Announces the end: `Connection: close` with each HTTP/1 response, and GOAWAY to each HTTP/2 client. A stream that the
	 * client opens before it reads GOAWAY is refused, and the client may repeat that request (RFC 9113, 8.7). Node cannot
	 * send the GOAWAY that precedes the final one (RFC 9113, 6.8): after any `goaway()` nghttp2 ignores new streams.
	 */
	end(): void {
		this.#isEnding = true;
		for (const response of this.#responses) response.shouldKeepAlive = false;
		for (const session of this.#sessions) session.close();
		// The first 'request' listener of an HTTP/2 server would change how it passes on its streams.
		if (isHttp2(this.#server) && isHttp1(this.#server) && this.#server.listenerCount('request') > 0) {
			this.#server.prependListener('request', this.#onRequest);
		}
	}

	/**
	 * Closes the connections without a request in progress. On Node 20 a connection that has not sent any request does not
	 * count as idle.
	 */
	closeIdle(): void {
		if (isHttp1(this.#server)) this.#server.closeIdleConnections();
		// A session that began after end().
		for (const session of this.#sessions) session.close();
	}

	/** Cuts all connections. @returns how many there were */
	async closeAll(): Promise<number> {
		let cut = this.#sessions.size;
		for (const session of this.#sessions) session.destroy();
		if (!isHttp1(this.#server)) return cut;
		// Both counts are taken when they are asked for, and delivered later.
		const before = connectionsOf(this.#server);
		process.getBuiltinModule('node:http').Server.prototype.closeAllConnections.call(this.#server as HttpServer);
		cut += (await before) - (await connectionsOf(this.#server));
		return cut;
	}

	/** Stops observing the server. */
	detach(): void {
		this.#server.off('request', this.#onRequest).off('session', this.#onSession);
	}

	readonly #onRequest = (_request: IncomingMessage, response: ServerResponse): void => {
		if (this.#isEnding) {
			response.shouldKeepAlive = false;
			return;
		}
		this.#responses.add(response);
		response.once('close', () => this.#responses.delete(response));
	};

	readonly #onSession = (session: ServerHttp2Session): void => {
		this.#sessions.add(session);
		session.once('close', () => this.#sessions.delete(session));
	};
}

function isHttp1(server: Server): server is Http1Server {
	return 'closeIdleConnections' in server;
}

/** Node does not export the classes of its HTTP/2 servers. */
function isHttp2(server: Server): boolean {
	return 'updateSettings' in server;
}

function connectionsOf(server: Server): Promise<number> {
	return new Promise(resolve => server.getConnections((_error, count) => resolve(count)));
}
