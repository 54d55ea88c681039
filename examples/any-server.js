/** Locks the address before a framework binds it, and releases it after the framework has closed. */
import {once} from 'node:events';
import {createServer} from 'node:net';
import {acquire} from 'bindlock';

const lock = await acquire('any.sock');
const app = createServer(socket => socket.end('hello'));
try {
	app.listen({path: 'any.sock'}); // the framework's own listen
	await once(app, 'listening');
	console.log(`serving ${lock.address}: ${lock.held}`);
} finally {
	app.close();
	await once(app, 'close');
	await lock.release(); // only after the socket is closed
}
console.log(`released: ${!lock.held}`);
