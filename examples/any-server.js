/** Any server or framework that binds by itself: take the address before it does, give it back after. */
import {once} from 'node:events';
import {createServer} from 'node:net';
import {acquire} from 'bindlock';

const lock = await acquire('any.sock');
const app = createServer(socket => socket.end('hello'));
try {
	app.listen({path: 'any.sock'}); // what the framework does
	await once(app, 'listening');
	console.log(`serving ${lock.address}: ${lock.held}`);
} finally {
	app.close();
	await once(app, 'close');
	await lock.release(); // the socket first, the lock last
}
console.log(`given back: ${!lock.held}`);
